// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// crash makes the machine go down under the store, and harms a file as a disk
// may that lost what it said it had.
func crash(t *testing.T, s *Store, l *Lease, clean bool) {
	t.Helper()
	path := filepath.Join(l.Dir(), "dir/file")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, info.Size()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	text := "another boot"
	if clean {
		text += cleanNote
	}
	boot := filepath.Join(s.Root(), bootName)
	last := modTime(boot)
	if err := os.WriteFile(boot, []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(boot, last, last); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasCommittedShortlyBeforeACrashIsReadBeforeItIsServed(t *testing.T) {
	s := open(t, Options{})
	l := add(t, s, key("1"), "content")
	good := add(t, s, key("2"), "content")
	crash(t, s, l, false)
	s = open(t, Options{Root: s.Root()})
	if _, err := s.Lease(l.ID()); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Lease(l.ID()); !errors.Is(err, ErrNotStored) {
		t.Errorf("after that got %v", err)
	}
	if !pathExists(s.suspectMark(good.ID())) {
		t.Fatal("the other snapshot is not in doubt")
	}
	again, err := s.Lease(good.ID())
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, again)
	if pathExists(s.suspectMark(good.ID())) {
		t.Error("it is still in doubt")
	}
	add(t, s, key("1"), "content")
}

func TestWhatIsInDoubtIsDeliveredAgainIfItIsDamaged(t *testing.T) {
	s := open(t, Options{})
	crash(t, s, add(t, s, key("1"), "content"), false)
	s = open(t, Options{Root: s.Root()})
	add(t, s, key("1"), "content")
	if pathExists(s.suspectMark(key("1").ID())) {
		t.Error("what was just written is in doubt")
	}
}

func TestAStoreThatWasClosedOrLongIdleIsNotDoubted(t *testing.T) {
	for name, prepare := range map[string]func(s *Store, l *Lease) bool{
		"closed": func(s *Store, _ *Lease) bool {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(s.Root(), bootName))
			return err == nil && string(text) == bootID()+cleanNote+"\n"
		},
		"idle": func(s *Store, l *Lease) bool {
			old := time.Now().Add(-time.Hour)
			return os.Chtimes(filepath.Join(s.snapshotDir(l.ID()), snapshot.ManifestName), old, old) == nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{})
			l := add(t, s, key("1"), "content")
			if !prepare(s, l) {
				t.Fatal("not prepared")
			}
			crash(t, s, l, name == "closed")
			s = open(t, Options{Root: s.Root()})
			if pathExists(s.suspectMark(l.ID())) {
				t.Error("it is in doubt")
			}
		})
	}
}

func TestAStoreThatOthersHaveOpenIsNotClosed(t *testing.T) {
	s := open(t, Options{})
	other := open(t, Options{Root: s.Root()})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.Root(), bootName))
	if err != nil || string(text) != bootID()+"\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
}
