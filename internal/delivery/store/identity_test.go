// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func storeID(t *testing.T, s *Store) string {
	t.Helper()
	id, err := s.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestProcessesThatStartTogetherAgreeOnTheStoreID(t *testing.T) {
	root := t.TempDir()
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			s, err := Open(Options{Root: root})
			if err == nil {
				ids[i], err = s.ID()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || len(id) != 2*idBytes {
			t.Fatalf("got %q", ids)
		}
	}
	if other := storeID(t, open(t, Options{})); other == ids[0] {
		t.Error("two stores have the same ID")
	}
}

func TestStoreDeletedWhileOpenIsCreatedAgain(t *testing.T) {
	for name, paths := range map[string][]string{
		"everything":    {"."},
		"all in it":     {"snapshots", "marks", "locks", "trash", "id", "boot"},
		"the snapshots": {"snapshots"},
		"the ID":        {"id"},
		"the locks":     {"locks"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{})
			other := open(t, Options{Root: s.Root()})
			before := storeID(t, s)
			l := add(t, s, key("1"), "content")
			if !l.Current() {
				t.Error("a lease is none from the beginning")
			}
			for _, path := range paths {
				if err := os.RemoveAll(filepath.Join(s.Root(), path)); err != nil {
					t.Fatal(err)
				}
			}
			after := storeID(t, other)
			if same := after == before; same != (name == "the locks") {
				t.Errorf("the same ID: %t", same)
			}
			if got := storeID(t, s); got != after {
				t.Errorf("one process calls it %s, another one %s", got, after)
			}
			if l.Current() != (name == "the ID") {
				t.Errorf("the lease is current: %t", l.Current())
			}
			// A writer's way, tidying and the end, by who has had the store open.
			mark(t, s, key("2").ID(), markA)
			closeLease(t, add(t, s, key("2"), "content"))
			if err := s.Collect(); err != nil {
				t.Error(err)
			}
			if k, err := other.Stock(); err != nil || k.ID != after || len(k.Snapshots) == 0 {
				t.Errorf("stock: %+v, %v", k, err)
			}
			// The last one to end, and no other, leaves the store in order.
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if text, _ := os.ReadFile(filepath.Join(s.Root(), bootName)); string(text) != bootID()+"\n" {
				t.Errorf("boot: %q", text)
			}
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What the kernel keeps for who has it mounted has no name, and nothing can be
// made in it. A file descriptor does the same here.
func TestStoreWhoseDirectoryWasDeletedReturnsErrGone(t *testing.T) {
	root := filepath.Join(t.TempDir(), "ns")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	mounted, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer mounted.Close()
	s := open(t, Options{Root: fmt.Sprintf("/proc/self/fd/%d", mounted.Fd())})
	before := storeID(t, s)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ID(); !errors.Is(err, ErrGone) || !errors.Is(err, ErrStore) {
		t.Errorf("got %v", err)
	}
	k, err := s.Stock()
	if !errors.Is(err, ErrGone) || k == nil || k.ID == before || k.ID == "" || k.Available == 0 || len(k.Snapshots) > 0 {
		t.Errorf("stock: %+v, %v", k, err)
	}
	if _, err := s.TakeTurn("x"); !errors.Is(err, ErrGone) {
		t.Errorf("turn: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestTurnIsHeldByOneProcessAtATime(t *testing.T) {
	s := open(t, Options{})
	other := open(t, Options{Root: s.Root()})
	turn, err := s.TakeTurn("x")
	if err != nil || turn == nil {
		t.Fatal(turn, err)
	}
	if second, err := other.TakeTurn("x"); err != nil || second != nil {
		t.Errorf("got %v, %v", second, err)
	}
	if err := os.RemoveAll(filepath.Join(s.Root(), "locks")); err != nil {
		t.Fatal(err)
	}
	if turn.Current() {
		t.Error("a turn counts whose lock was deleted")
	}
	turn.Close()
	if second, err := other.TakeTurn("x"); err != nil || second == nil || !second.Current() {
		t.Errorf("got %v, %v", second, err)
	}
}
