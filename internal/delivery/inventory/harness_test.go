// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// quick is how often everything is done in tests. What is told by the kernel is
// not looked for meanwhile.
var quick = Pace{Elect: 20 * time.Millisecond, Settle: time.Millisecond, Look: time.Hour, Repeat: time.Hour, Apart: time.Millisecond}

const mark = "0123456789abcdef0123456789abcdef"

// runtime is one of those that share a store.
type runtime struct {
	*Inventory
	t       *testing.T
	store   *store.Store
	reports chan *gatewayv1alpha1.ReportStoreRequest
	looks   chan struct{}
	end     func()

	mu     sync.Mutex
	answer error
}

func start(t *testing.T, root string, pace Pace) *runtime {
	t.Helper()
	pods := podstate.NewPods(root)
	s, err := store.Open(store.Options{Root: root, Needed: pods.Needed, Wanted: pods.Wanted})
	if err != nil {
		t.Fatal(err)
	}
	r := &runtime{t: t, store: s, reports: make(chan *gatewayv1alpha1.ReportStoreRequest, 1000), looks: make(chan struct{}, 1000)}
	r.Inventory, err = New(Options{Store: s, Pods: pods, Pace: pace,
		Log: funcr.New(func(_, args string) { t.Log(args) }, funcr.Options{Verbosity: 1}),
		Report: func(_ context.Context, req *gatewayv1alpha1.ReportStoreRequest) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reports <- req
			return r.answer
		}})
	if err != nil {
		t.Fatal(err)
	}
	r.looked = func() { r.looks <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { r.end() })
	return r
}

func (r *runtime) answers(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = err
}

// await waits for a report that the test is after.
func (r *runtime) await(what string, match func(*gatewayv1alpha1.ReportStoreRequest) bool) *gatewayv1alpha1.ReportStoreRequest {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case req := <-r.reports:
			if match(req) {
				return req
			}
		case <-deadline:
			r.t.Fatalf("never reported: %s", what)
		}
	}
}

// holds reports whether exactly these versions are complete.
func holds(versions ...string) func(*gatewayv1alpha1.ReportStoreRequest) bool {
	return func(r *gatewayv1alpha1.ReportStoreRequest) bool {
		var got []string
		for _, s := range r.GetSnapshots() {
			if s.GetPhase() == gatewayv1alpha1.Phase_PHASE_SUCCESS {
				got = append(got, s.GetVersion())
			}
		}
		slices.Sort(got)
		return slices.Equal(got, versions)
	}
}

// after waits until it was looked so many times.
func (r *runtime) after(looks int) {
	r.t.Helper()
	for range looks {
		select {
		case <-r.looks:
		case <-time.After(20 * time.Second):
			r.t.Fatal("it is not looked")
		}
	}
}

func (r *runtime) silent(what string) {
	r.t.Helper()
	select {
	case req := <-r.reports:
		r.t.Errorf("%s, and it was reported: %v", what, req)
	default:
	}
}

func keyOf(version string) snapshot.Key {
	return snapshot.Key{Source: "s3://minio:9000/models", Path: "bert/", Version: version}
}

// begin begins a download.
func begin(t *testing.T, s *store.Store, version string) *store.Writer {
	t.Helper()
	if err := s.Mark(keyOf(version).ID(), mark); err != nil {
		t.Fatal(err)
	}
	_, w, err := s.Acquire(t.Context(), keyOf(version), func() {})
	if err != nil || w == nil {
		t.Fatal(err)
	}
	return w
}

func add(t *testing.T, s *store.Store, version string) snapshot.ID {
	t.Helper()
	l, err := begin(t, s, version).Commit(&snapshot.Manifest{Digest: "xxh3:00"})
	if err != nil {
		t.Fatal(err)
	}
	id := l.ID()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return id
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// remove deletes a path as an administrator does who does not know that it is in
// use: the store may be made again in the middle of it.
func remove(t *testing.T, path string) {
	t.Helper()
	var err error
	for range 100 {
		if err = os.RemoveAll(path); err == nil {
			return
		}
	}
	t.Fatal(err)
}
