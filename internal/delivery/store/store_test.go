// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Root == "" {
		o.Root = t.TempDir()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(version string) snapshot.Key {
	return snapshot.Key{Source: "test", Path: "path", Version: version}
}

// writer acquires the right to write a snapshot.
func writer(t *testing.T, s *Store, k snapshot.Key) *Writer {
	t.Helper()
	l, w, err := s.Acquire(t.Context(), k, func() { t.Error("another process writes") })
	if err != nil || l != nil {
		t.Fatalf("acquiring: %v, %v", l, err)
	}
	return w
}

// put writes a complete file into the staging directory.
func put(t *testing.T, w *Writer, name, content string) snapshot.Entry {
	t.Helper()
	if err := w.Root().MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.Root().WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := w.Root().Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := digest.Reader(strings.NewReader(content), digest.XXH3, make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	e := snapshot.Entry{Path: name, Size: int64(len(content)), Mode: 0o644, Digest: sum, Identity: `"` + sum + `"`,
		Modified: info.ModTime().UnixNano()}
	if err := w.Done(e); err != nil {
		t.Fatal(err)
	}
	return e
}

// add makes a complete snapshot of one file.
func add(t *testing.T, s *Store, k snapshot.Key, content string) *Lease {
	t.Helper()
	w := writer(t, s, k)
	e := put(t, w, "dir/file", content)
	l, err := w.Commit(&snapshot.Manifest{Entries: []snapshot.Entry{e}, Bytes: e.Size, Digest: e.Digest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLease(t, l) })
	return l
}

func closeLease(t *testing.T, l *Lease) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestACommittedSnapshotIsLeasedAsItWasWritten(t *testing.T) {
	s := open(t, Options{})
	committed := add(t, s, key("1"), "content")
	leased, w, err := s.Acquire(t.Context(), key("1"), func() {})
	if err != nil || w != nil {
		t.Fatal(err)
	}
	defer closeLease(t, leased)
	if diff := cmp.Diff(committed.Manifest(), leased.Manifest()); diff != "" {
		t.Errorf("(-committed +leased):\n%s", diff)
	}
	if content, err := os.ReadFile(filepath.Join(leased.Dir(), "dir/file")); err != nil || string(content) != "content" {
		t.Errorf("got %q, %v", content, err)
	}
}

func TestAnUnfinishedSnapshotIsNotThere(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	put(t, w, "f", "x")
	if _, err := s.Lease(key("1").ID()); !errors.Is(err, ErrNotStored) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lease(key("1").ID()); !errors.Is(err, ErrNotStored) {
		t.Errorf("after closing got %v", err)
	}
}

func TestKeysThatDifferHaveOtherSnapshots(t *testing.T) {
	mode := fs.FileMode(0o755)
	base := snapshot.Key{Source: "s", Path: "p", Version: "v"}
	keys := []snapshot.Key{base, {Source: "sp", Version: "v"}, {Source: "s", Path: "p", Version: "v", Mode: &mode},
		{Source: "s", Path: "p", Version: "v", Include: []string{"a"}}, {Source: "s", Path: "p", Version: "v", Exclude: []string{"a"}},
		{Source: "s", Path: "p", Version: "v", Digest: "sha256:0"}}
	seen := map[snapshot.ID]bool{}
	for _, k := range keys {
		if seen[k.ID()] || !k.ID().Valid() {
			t.Errorf("%+v has the ID %s", k, k.ID())
		}
		seen[k.ID()] = true
	}
}

func TestAWaiterWhoseContextEndsDoesNotKeepTheLock(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	ctx, cancel := context.WithCancel(t.Context())
	if _, _, err := s.Acquire(ctx, key("1"), cancel); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, w, err := s.Acquire(t.Context(), key("1"), func() {})
	if err != nil || w == nil {
		t.Fatal(err)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
}

// Once its context has ended, a waiter has left no goroutine that waits on.
func TestWaitersThatGiveUpLeaveNothingBehind(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		if _, _, err := s.Acquire(ctx, key("1"), cancel); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	for runtime.NumGoroutine() > before {
		runtime.Gosched() // what ends the watches ends soon, or the test never does
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
}

func TestWaitersGetTheSnapshotTogether(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	var waiting, done sync.WaitGroup
	for range 30 {
		waiting.Add(1)
		done.Go(func() {
			l, w, err := s.Acquire(t.Context(), key("1"), waiting.Done)
			if err != nil || w != nil {
				t.Errorf("got %v, %v", w, err)
				return
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	e := put(t, w, "f", "x")
	l, err := w.Commit(&snapshot.Manifest{Entries: []snapshot.Entry{e}, Bytes: 1, Digest: e.Digest})
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, l)
	done.Wait()
}

func TestPausesGrowWithTheWait(t *testing.T) {
	for waited, want := range map[time.Duration]time.Duration{0: time.Millisecond, time.Second: 20 * time.Millisecond,
		time.Hour: 250 * time.Millisecond} {
		if got := nextPause(waited); got != want {
			t.Errorf("after %s: %s", waited, got)
		}
	}
}

func TestAManifestThatCouldNotBeReadIsNotWritten(t *testing.T) {
	for name, m := range map[string]snapshot.Manifest{
		"sum":    {Bytes: 5, Entries: []snapshot.Entry{{Path: "a", Size: 4}}},
		"order":  {Entries: []snapshot.Entry{{Path: "b"}, {Path: "a"}}},
		"twice":  {Entries: []snapshot.Entry{{Path: "a"}, {Path: "a"}}},
		"escape": {Entries: []snapshot.Entry{{Path: "../a"}}},
	} {
		s := open(t, Options{})
		if l, err := writer(t, s, key("1")).Commit(&m); !errors.Is(err, ErrStore) {
			t.Errorf("%s: got %v, %v", name, l, err)
		}
	}
}

func TestAManifestThatIsHeldIsNotUnpackedAgain(t *testing.T) {
	s := open(t, Options{})
	l := add(t, s, key("1"), "content")
	first := l.Manifest()
	if l.Manifest() != first {
		t.Error("a manifest that is held was unpacked twice")
	}
	if len(first.Entries) != 1 || first.Files != 1 || first.Key.Version != "1" {
		t.Errorf("got %+v", first)
	}
}

func TestPeekingNeitherKeepsASnapshotNorMakesItYounger(t *testing.T) {
	s := open(t, Options{})
	closeLease(t, add(t, s, key("1"), "content"))
	used(t, s, key("1"), time.Hour)
	before := modTime(s.leaseLock(key("1").ID()))
	m, dir, err := s.Peek(t.Context(), key("1").ID())
	if err != nil || m.Packed.Len() != 1 {
		t.Fatalf("got %+v, %v", m, err)
	}
	if _, err := os.Stat(filepath.Join(dir, m.Packed.At(0).Path)); err != nil {
		t.Error(err)
	}
	if after := modTime(s.leaseLock(key("1").ID())); !after.Equal(before) {
		t.Errorf("it was used at %s, now at %s", before, after)
	}
	if evicted, err := s.Evict(key("1").ID()); !evicted || err != nil {
		t.Errorf("got %t, %v", evicted, err)
	}
	if _, _, err := s.Peek(t.Context(), key("1").ID()); !errors.Is(err, ErrNotStored) {
		t.Errorf("got %v", err)
	}
}

func TestWhatAWriterLeftInACompleteSnapshotGoes(t *testing.T) {
	s := open(t, Options{})
	l := add(t, s, key("1"), "content")
	for _, name := range []string{journalName, reservedName} {
		if err := os.WriteFile(filepath.Join(s.snapshotDir(l.ID()), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Collect(); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(s.snapshotDir(l.ID())); err != nil || len(names) != 2 {
		t.Errorf("got %v, %v", names, err)
	}
}

func TestWhatIsStagedSurvivesAndStraysDoNot(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	done := put(t, w, "dir/done", "done")
	if err := w.Begin("large", 20<<20, "id"); err != nil {
		t.Fatal(err)
	}
	if err := w.Root().WriteFile("large", make([]byte, 20<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Block("large", 1, digest.Sum{1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Root().MkdirAll("stray", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.Root().WriteFile("stray/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = writer(t, s, key("1"))
	defer w.Discard() //nolint:errcheck // the end of the test
	if got := w.Staged("dir/done"); got == nil || got.Entry == nil || *got.Entry != done {
		t.Errorf("got %+v", got)
	}
	if got := w.Staged("large"); got == nil || got.Identity != "id" || len(got.Blocks) != 1 || got.Blocks[1] != (digest.Sum{1}) {
		t.Errorf("got %+v", got)
	}
	if _, err := w.Root().Stat("stray"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stray file: %v", err)
	}
}

func TestATornJournalIsUsedUpToTheTear(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	put(t, w, "one", "1")
	put(t, w, "two", "2")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(s.partialDir(key("1").ID()), journalName)
	info, err := os.Stat(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(journal, info.Size()-5); err != nil {
		t.Fatal(err)
	}
	w = writer(t, s, key("1"))
	if w.Staged("one") == nil || w.Staged("two") != nil {
		t.Errorf("staged: %v", w.StagedPaths())
	}
	put(t, w, "three", "3")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = writer(t, s, key("1"))
	defer w.Discard() //nolint:errcheck // the end of the test
	if w.Staged("one") == nil || w.Staged("three") == nil {
		t.Errorf("staged: %v", w.StagedPaths())
	}
}

// After a crash of the machine the journal may speak of bytes that never
// reached the disk.
func TestAJournalOfAnotherBootIsChecked(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	put(t, w, "good", "good")
	bad := put(t, w, "bad", "bad!")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := s.partialDir(key("1").ID())
	file := filepath.Join(dir, snapshot.DataDir, "bad")
	if err := os.WriteFile(file, make([]byte, 4), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Time{}, time.Unix(0, bad.Modified)); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(dir, journalName)
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, []byte(strings.ReplaceAll(string(text), bootID(), "another")), 0o600); err != nil {
		t.Fatal(err)
	}
	w = writer(t, s, key("1"))
	defer w.Discard() //nolint:errcheck // the end of the test
	if w.Staged("good") == nil || w.Staged("bad") != nil {
		t.Errorf("staged: %v", w.StagedPaths())
	}
}

func TestDamageIsFoundAndMovedAside(t *testing.T) {
	for name, c := range map[string]struct {
		deep   bool
		damage func(path string) error
	}{
		"shorter": {false, func(path string) error { return os.Truncate(path, 3) }},
		"touched": {false, func(path string) error { return os.Chtimes(path, time.Time{}, time.Now()) }},
		"mode":    {false, func(path string) error { return os.Chmod(path, 0o600) }},
		"gone":    {false, os.Remove},
		"manifest": {false, func(path string) error {
			return os.Truncate(filepath.Join(path, "../../../"+snapshot.ManifestName), 20)
		}},
		"bit rot": {true, func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte("cOntent"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(path, time.Time{}, info.ModTime())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{})
			l := add(t, s, key("1"), "content")
			if err := s.Verify(t.Context(), l.ID(), true); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(filepath.Join(l.Dir(), "dir/file")); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(t.Context(), l.ID(), c.deep); !errors.Is(err, snapshot.ErrDamaged) {
				t.Errorf("got %v", err)
			}
			if err := s.Verify(t.Context(), l.ID(), c.deep); !errors.Is(err, ErrNotStored) {
				t.Errorf("after that got %v", err)
			}
			add(t, s, key("1"), "content")
		})
	}
}

func TestNoRoomIsTold(t *testing.T) {
	s := open(t, Options{})
	w := writer(t, s, key("1"))
	err := w.Fail("writing", &fs.PathError{Op: "write", Path: "f", Err: unix.ENOSPC}, 42)
	if e, ok := errors.AsType[*InsufficientSpaceError](err); !ok || e.Needed != 42 {
		t.Errorf("got %v", err)
	}
	err = w.Reserve(1<<60, 1<<60)
	if e, ok := errors.AsType[*InsufficientSpaceError](err); !ok || e.Quota || e.Free <= 0 {
		t.Errorf("got %v", err)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
}

// A large file is not read each time a pod takes it: who sets its time back is found
// by Verify alone.
func TestRecheckReadsSmallFiles(t *testing.T) {
	for size, seen := range map[int]bool{7: true, glanceFile: true, glanceFile + 1: false} {
		s := open(t, Options{})
		l := add(t, s, key("1"), strings.Repeat("x", size))
		file := filepath.Join(l.Dir(), "dir/file")
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Recheck(t.Context(), l.ID()); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if err := os.WriteFile(file, []byte(strings.Repeat("y", size)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := s.Recheck(t.Context(), l.ID()); errors.Is(err, snapshot.ErrDamaged) != seen {
			t.Errorf("%d bytes: got %v", size, err)
		}
		if err := s.Verify(t.Context(), l.ID(), true); err == nil {
			t.Errorf("%d bytes: the change is not found", size)
		}
	}
}

func TestPrincipalNameDiffersBetweenStores(t *testing.T) {
	s, other := open(t, Options{}), open(t, Options{})
	name := func(s *Store, credentials string) string {
		t.Helper()
		n, err := s.Principal(credentials)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a := name(s, "alice")
	if a == "" || a != name(s, "alice") || a == name(s, "bob") || a == name(other, "alice") || name(s, "") != "" {
		t.Errorf("alice is %q here and %q there, bob %q", a, name(other, "alice"), name(s, "bob"))
	}
	if again := open(t, Options{Root: s.Root()}); name(again, "alice") != a {
		t.Error("another process calls the principal something else")
	}
	info, err := os.Stat(filepath.Join(s.Root(), saltName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the salt: %v, %v", info, err)
	}
}
