// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

const (
	markA = "0123456789abcdef0123456789abcdef"
	markB = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0"
)

func mark(t *testing.T, s *Store, id snapshot.ID, mark string) {
	t.Helper()
	if err := s.Mark(id, mark); err != nil {
		t.Fatal(err)
	}
}

// marksOf are the marks that the lists show of a snapshot or a download.
func marksOf(t *testing.T, s *Store, id snapshot.ID) []string {
	t.Helper()
	snapshots, err := s.Snapshots()
	if err != nil {
		t.Fatal(err)
	}
	downloads, err := s.Downloads()
	if err != nil {
		t.Fatal(err)
	}
	for _, snapshot := range append(snapshots, downloads...) {
		if snapshot.ID == id {
			return snapshot.Marks
		}
	}
	return nil
}

func TestMarksOfADownloadPassToItsSnapshot(t *testing.T) {
	s := open(t, Options{})
	id := key("1").ID()
	mark(t, s, id, markA)
	w := writer(t, s, key("1"))
	mark(t, s, id, markB)
	mark(t, s, id, markA)
	want := []string{markA, markB}
	if diff := cmp.Diff(want, marksOf(t, s, id)); diff != "" {
		t.Errorf("of a download (-want +got):\n%s", diff)
	}
	e := put(t, w, "f", "x")
	l, err := w.Commit(&snapshot.Manifest{Entries: []snapshot.Entry{e}, Bytes: 1, Digest: e.Digest})
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, l)
	if diff := cmp.Diff(want, marksOf(t, open(t, Options{Root: s.Root()}), id)); diff != "" {
		t.Errorf("of a snapshot (-want +got):\n%s", diff)
	}
}

func TestMarksAreRemovedWithTheirSnapshot(t *testing.T) {
	for name, gone := range map[string]func(*testing.T, *Store, snapshot.ID){
		"evicted": func(t *testing.T, s *Store, id snapshot.ID) {
			closeLease(t, add(t, s, key("1"), "x"))
			if evicted, err := s.Evict(id); err != nil || !evicted {
				t.Fatal(evicted, err)
			}
		},
		"discarded": func(t *testing.T, s *Store, _ snapshot.ID) {
			if err := writer(t, s, key("1")).Discard(); err != nil {
				t.Fatal(err)
			}
		},
		"left behind": func(t *testing.T, s *Store, id snapshot.ID) {
			old := time.Now().Add(-2 * markTTL)
			if err := os.Chtimes(s.markFile(id, markA), old, old); err != nil {
				t.Fatal(err)
			}
			if err := s.Collect(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{})
			id := key("1").ID()
			mark(t, s, id, markA)
			mark(t, s, key("other").ID(), markA)
			gone(t, s, id)
			left, err := s.listMarks()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[snapshot.ID][]string{key("other").ID(): {markA}}, left); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCollectKeepsMarksOfSnapshotsAndPendingDownloads(t *testing.T) {
	s := open(t, Options{})
	mark(t, s, key("soon").ID(), markA)
	closeLease(t, add(t, s, key("here"), "x"))
	mark(t, s, key("here").ID(), markA)
	old := time.Now().Add(-2 * markTTL)
	if err := os.Chtimes(s.markFile(key("here").ID(), markA), old, old); err != nil {
		t.Fatal(err)
	}
	if err := s.Collect(); err != nil {
		t.Fatal(err)
	}
	if left, err := s.listMarks(); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestInvalidMarksAreRefused(t *testing.T) {
	s := open(t, Options{})
	for _, m := range []string{"", "../x", "a.b", "A", "/", strings.Repeat("a", maxMark+1)} {
		if err := s.Mark(key("1").ID(), m); err == nil {
			t.Errorf("%q was taken", m)
		}
	}
	if err := s.Mark("../x", markA); err == nil {
		t.Error("an ID that is a path was taken")
	}
}
