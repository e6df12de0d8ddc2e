// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// The pause of this test's waiter never ends: only the kernel can wake it.
func TestWhoWaitsIsToldWhenTheSnapshotComes(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("v1"))
	a := s.watchSnapshots()
	defer a.stop()
	a.pause = func(time.Duration) time.Duration { return time.Hour }
	looked := make(chan struct{}, 1)
	found := make(chan error, 1)
	go func() {
		found <- a.awaitLock(context.Background(), func() error {
			select {
			case looked <- struct{}{}:
			default:
			}
			if !isDir(s.snapshotDir(w.Key().ID())) {
				return filelock.ErrHeld
			}
			return nil
		})
	}()
	<-looked
	e := put(t, w, "f", "x")
	l, err := w.Commit(&snapshot.Manifest{Entries: []snapshot.Entry{e}, Bytes: 1, Digest: e.Digest})
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, l)
	if err := <-found; err != nil {
		t.Fatal(err)
	}
}
