// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// used sets when a snapshot was last used.
func used(t *testing.T, s *Store, k snapshot.Key, ago time.Duration) {
	t.Helper()
	at := time.Now().Add(-ago)
	if err := os.Chtimes(s.leaseLock(k.ID()), at, at); err != nil {
		t.Fatal(err)
	}
}

func stored(t *testing.T, s *Store) string {
	t.Helper()
	snapshots, err := s.Snapshots()
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, snapshot := range snapshots {
		versions = append(versions, snapshot.Key.Version)
	}
	return strings.Join(versions, " ")
}

func TestOnlyTheLeastRecentlyUsedWithoutALeaseAreEvicted(t *testing.T) {
	s := open(t, Options{Quota: 1000})
	for i, version := range []string{"leased", "old", "new"} {
		l := add(t, s, key(version), strings.Repeat("x", 300))
		if version != "leased" {
			closeLease(t, l)
		}
		used(t, s, key(version), time.Duration(10-i)*time.Hour)
	}
	w := writer(t, s, key("next"))
	if err := w.Reserve(300, 300); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, s); got != "leased new" {
		t.Errorf("left: %s", got)
	}
	err := w.Reserve(800, 800)
	if e, ok := errors.AsType[*InsufficientSpaceError](err); !ok || !e.Quota || e.Needed != 800 || e.Free != 400 {
		t.Errorf("got %v", err)
	}
	if got := stored(t, s); got != "leased new" {
		t.Errorf("evicted in vain; left: %s", got)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
}

func TestALeaseKeepsASnapshotThroughAnotherStore(t *testing.T) {
	s := open(t, Options{})
	l := add(t, s, key("1"), "content")
	other := open(t, Options{Root: s.Root()})
	if evicted, err := other.Evict(l.ID()); evicted || err != nil {
		t.Errorf("got %v, %v", evicted, err)
	}
	closeLease(t, l)
	if evicted, err := other.Evict(l.ID()); !evicted || err != nil {
		t.Errorf("after the lease got %v, %v", evicted, err)
	}
	if _, err := s.Lease(l.ID()); !errors.Is(err, ErrNotStored) {
		t.Errorf("got %v", err)
	}
}

func TestLeftoversOfTheDeadAreCollectedAndThoseOfTheLivingAreNot(t *testing.T) {
	s := open(t, Options{PartialTTL: time.Nanosecond})
	dead, living := writer(t, s, key("dead")), writer(t, s, key("living"))
	put(t, dead, "f", "x")
	put(t, living, "f", "x")
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(string(s.trash), "half", "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	closeLease(t, add(t, s, key("gone"), "x"))
	if _, err := s.Evict(key("gone").ID()); err != nil {
		t.Fatal(err)
	}
	if err := s.Collect(); err != nil {
		t.Fatal(err)
	}
	if pathExists(s.partialDir(key("dead").ID())) {
		t.Error("the dead one is left")
	}
	if !pathExists(s.partialDir(key("living").ID())) {
		t.Error("the living one is gone")
	}
	if names, _ := os.ReadDir(string(s.trash)); len(names) > 0 {
		t.Error("the trash is not empty")
	}
	if names, _ := filepath.Glob(filepath.Join(s.locks, "*.*")); len(names) != 1 {
		t.Errorf("the lock files %q are left", names)
	}
	if err := living.Discard(); err != nil {
		t.Fatal(err)
	}
}
