// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/retry"
)

func TestPluginThatStartsLaterIsWaitedFor(t *testing.T) {
	socket := socketPath(t)
	opened := make(chan error, 1)
	go func() {
		s, err := New(t.Context(), Config{Name: "fake", Socket: socket})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	serve(t, socket, newFake().handler())
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestPluginThatIsAwayIsUnreachable(t *testing.T) {
	before := start
	start = retry.Policy{Attempts: 2, Base: time.Millisecond}
	defer func() { start = before }()
	socket := socketPath(t)
	_, err := New(t.Context(), Config{Name: "fake", Socket: socket})
	isClass(t, err, source.ErrUnreachable, socket)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(ctx, Config{Name: "fake", Socket: socket}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestPluginThatSaysNothingDoesNotHoldACallerWhoGivesUp(t *testing.T) {
	socket := socketPath(t)
	l, err := net.Listen("unix", socket) // accepts in the kernel, and is silent
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := New(ctx, Config{Name: "fake", Socket: socket}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// content of the restarted plugin's one file.
var content = bytes.Repeat([]byte("0123456789abcdef"), 64<<10)

// sender is a plugin whose reads send at most limit bytes and then wait for release.
func sender(limit int64, release <-chan struct{}) *fake {
	f := newFake()
	f.read = func(r *sourcev1alpha1.ReadRequest, send func(*sourcev1alpha1.ReadResponse) error) error {
		left := limit
		for offset, end := r.GetOffset(), r.GetOffset()+r.GetLength(); offset < end; {
			n := min(64<<10, end-offset)
			if left -= n; left < 0 {
				<-release
				return errors.New("ends")
			}
			if err := send(&sourcev1alpha1.ReadResponse{Data: content[offset : offset+n], Offset: offset}); err != nil {
				return err
			}
			offset += n
		}
		return nil
	}
	return f
}

func TestReadGoesOnAfterTheRestartOfAPlugin(t *testing.T) {
	socket := socketPath(t)
	release := make(chan struct{})
	stop := serve(t, socket, sender(400<<10, release).handler())
	s, err := New(t.Context(), Config{Name: "fake", Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	entry := source.Entry{Key: "k", Size: int64(len(content)), Identity: "strong"}

	plain, err := s.Open(t.Context(), entry, 0, entry.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	again, err := retry.New(s, retry.Policy{Base: time.Millisecond}).Open(t.Context(), entry, 0, entry.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	head := make([]byte, 100<<10)
	if _, err := io.ReadFull(again, head); err != nil {
		t.Fatal(err)
	}
	close(release)
	stop()
	serve(t, socket, sender(1<<40, nil).handler())

	rest, err := io.ReadAll(again)
	if err != nil || !bytes.Equal(append(head, rest...), content) {
		t.Errorf("with retries: got %d bytes, %v", len(head)+len(rest), err)
	}
	_, err = io.ReadAll(plain)
	isClass(t, err, source.ErrTemporary)
}

func TestCancelEndsAReadThatStalls(t *testing.T) {
	release := make(chan struct{})
	s := sender(100<<10, release).opened(t)
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	body, err := s.Open(ctx, source.Entry{Key: "k", Size: int64(len(content))}, 0, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, body); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
