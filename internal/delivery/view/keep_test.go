// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/view"
)

// collect removes what the view does not need, long after it was used last.
func (b *bench) collect() {
	b.t.Helper()
	b.now = b.now.Add(time.Hour)
	if _, err := b.view.Collect(); err != nil {
		b.t.Fatal(err)
	}
}

func TestKeptRevisionLeavesTheViewUnchanged(t *testing.T) {
	b := newBench(t)
	b.deliver("ds", "r1", b.file("a", "1"))
	next := b.file("a", "2")
	if err := b.view.Keep(t.Context(), "ds", "r2", []view.Item{next}); err != nil {
		t.Fatal(err)
	}
	b.wantSeen(map[string]string{"a": "1"})
	if err := b.view.Switch("ds", "r2"); err == nil {
		t.Error("what is only kept was switched to")
	}
	b.collect()
	tree := b.path(".kuda/.rev/ds/2")
	before, err := os.Stat(tree)
	if err != nil {
		t.Fatal("what is kept was collected")
	}
	b.deliver("ds", "r2", next)
	b.wantSeen(map[string]string{"a": "2"})
	if after, err := os.Stat(tree); err != nil || !os.SameFile(before, after) {
		t.Errorf("the tree was built again: %v", err)
	}
	if rev, err := b.view.Revert("ds"); err != nil || rev != "r1" {
		t.Errorf("went back to %q, %v", rev, err)
	}
}

func TestKeptRevisionDoesNotReserveItsPlaces(t *testing.T) {
	b := newBench(t)
	if err := b.view.Keep(t.Context(), "later", "r2", []view.Item{b.file("a", "later")}); err != nil {
		t.Fatal(err)
	}
	b.deliver("now", "r1", b.file("a", "now"))
	b.wantSeen(map[string]string{"a": "now"})
	if err := b.view.Keep(t.Context(), "later", "r3", []view.Item{b.file("a", "later")}); err == nil {
		t.Error("a place that is taken was kept for another view")
	}
}

func TestRevisionThatIsNoLongerKeptIsRemoved(t *testing.T) {
	b := newBench(t)
	b.deliver("ds", "r1", b.file("a", "1"))
	if err := b.view.Keep(t.Context(), "ds", "r2", []view.Item{b.file("a", "2")}); err != nil {
		t.Fatal(err)
	}
	b.view.Unkeep("ds")
	b.collect()
	if _, err := os.Stat(b.path(".kuda/.rev/ds/2")); err == nil {
		t.Error("the tree is still there")
	}
	stopped, stop := context.WithCancelCause(t.Context())
	newer := errors.New("something newer")
	stop(newer)
	if err := b.view.Keep(stopped, "ds", "r3", []view.Item{b.file("a", "3")}); !errors.Is(err, newer) {
		t.Errorf("building went on: %v", err)
	}
	if _, err := os.Stat(b.path(".kuda/.rev/ds/3")); err == nil {
		t.Error("half a tree is left")
	}
	b.wantSeen(map[string]string{"a": "1"})
}
