// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/sidecar"
)

const storeUID = "99999999-9999-4999-8999-999999999998"

func newSupervisor(t *testing.T, run func() error) (s *Supervisor, store string) {
	t.Helper()
	base := t.TempDir()
	s = &Supervisor{Base: base, Log: logr.Discard(), Run: func(string, string) error { return run() }}
	return s, filepath.Join(base, sidecar.NodeStoresDir, "shop", storeUID)
}

func makeDirectories(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutAnEarlierStoreNothingIsWaitedFor(t *testing.T) {
	s, _ := newSupervisor(t, func() error { t.Error("a takeover began"); return nil })
	if err := s.Await(t.Context(), "shop", storeUID); err != nil {
		t.Error(err)
	}
}

func TestCallsShareATakeoverAndWaitForIt(t *testing.T) {
	var runs atomic.Int32
	began, goOn := make(chan struct{}, 9), make(chan struct{})
	s, store := newSupervisor(t, func() error { runs.Add(1); began <- struct{}{}; <-goOn; return nil })
	makeDirectories(t, filepath.Join(s.Base, "shop", storeUID))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if err := s.Await(ctx, "shop", storeUID); err == nil || !strings.Contains(err.Error(), "so far") {
			t.Errorf("a call that cannot wait: %v", err)
		}
	}
	waiting := make(chan error)
	go func() { waiting <- s.Await(t.Context(), "shop", storeUID) }()
	makeDirectories(t, store)
	close(goOn)
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	<-began
	if n := runs.Load(); n != 1 {
		t.Errorf("%d takeovers", n)
	}
	// It is there: what is left to be tidied keeps no one waiting.
	if err := s.Await(ctx, "shop", storeUID); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatCannotBeTakenOverBeginsEmpty(t *testing.T) {
	broken := errors.New("broken")
	var runs atomic.Int32
	s, _ := newSupervisor(t, func() error { runs.Add(1); return broken })
	makeDirectories(t, filepath.Join(s.Base, "shop", storeUID))
	for range maxTries {
		if err := s.Await(t.Context(), "shop", storeUID); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	for range 3 {
		if err := s.Await(t.Context(), "shop", storeUID); err != nil {
			t.Error(err)
		}
	}
	if n := runs.Load(); n != maxTries {
		t.Errorf("%d tries", n)
	}
}

func TestWhatIsLeftIsTidiedBehindTheCall(t *testing.T) {
	ran, goOn := make(chan struct{}), make(chan struct{})
	s, store := newSupervisor(t, func() error { close(ran); <-goOn; return nil })
	defer close(goOn)
	makeDirectories(t, store, filepath.Join(s.Base, "shop", gonePrefix+storeUID))
	for range 2 {
		if err := s.Await(t.Context(), "shop", storeUID); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-ran:
	case <-time.After(10 * time.Second):
		t.Error("it is not")
	}
}

func TestTakeoversOfManyStoresKeepNoCallOfAnotherWaiting(t *testing.T) {
	goOn := make(chan struct{})
	var running, most atomic.Int32
	s, _ := newSupervisor(t, func() error {
		most.Store(max(most.Load(), running.Add(1)))
		<-goOn
		running.Add(-1)
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 100)
	for i := range 20 {
		namespace := fmt.Sprintf("shop-%d", i)
		makeDirectories(t, filepath.Join(s.Base, namespace, storeUID))
		for range 5 {
			go func() { _ = s.Await(ctx, namespace, storeUID); ended <- struct{}{} }()
		}
	}
	// All but those that may wait are told to come again.
	for range 100 - maxWaiting {
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("a call waits, and keeps a connection from others")
		}
	}
	cancel()
	for range maxWaiting {
		<-ended
	}
	close(goOn)
	if n := most.Load(); n > maxRunning {
		t.Errorf("%d processes at once", n)
	}
}
