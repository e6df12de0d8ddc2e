// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package confined

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/filelock"
)

func openTemp(t *testing.T) (*Dir, string) {
	t.Helper()
	path := t.TempDir()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoLinkLeadsOutOfADirectory(t *testing.T) {
	d, path := openTemp(t)
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(path, "dir")))
	must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(path, "file")))
	if _, err := d.Dir("dir"); !errors.Is(err, ErrKind) {
		t.Errorf("opening a link to a directory: %v", err)
	}
	if _, err := d.ReadFile("file", 10); !errors.Is(err, ErrKind) {
		t.Errorf("reading a link to a file: %v", err)
	}
	l, err := d.TryLock("file")
	must(t, err)
	l.Release()
	must(t, d.RemoveTree(t.Context(), "dir"))
	must(t, d.RemoveTree(t.Context(), "file"))
	if _, err := os.Stat(filepath.Join(outside, "secret")); err != nil {
		t.Errorf("what the links led to: %v", err)
	}
}

func TestOnlyNamesInADirectoryAreOpened(t *testing.T) {
	d, path := openTemp(t)
	must(t, os.MkdirAll(filepath.Join(path, "a", "b"), 0o700))
	for _, name := range []string{"", ".", "..", "a/b", "/etc", "a\x00", strings.Repeat("n", 256)} {
		if _, err := d.Dir(name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	sub, err := d.Dir("a", "b")
	must(t, err)
	sub.Close()
}

func TestAPipeHoldsNothingUp(t *testing.T) {
	d, path := openTemp(t)
	must(t, unix.Mkfifo(filepath.Join(path, "pipe"), 0o600))
	if _, err := d.ReadFile("pipe", 10); !errors.Is(err, ErrKind) {
		t.Errorf("reading: %v", err)
	}
	l, err := d.TryLock("pipe")
	must(t, err)
	l.Release()
	if held, err := d.IsLocked("pipe", unix.LOCK_EX); held || err != nil {
		t.Errorf("locked: %v, %v", held, err)
	}
}

func TestAHeldLockIsNotWaitedFor(t *testing.T) {
	d, path := openTemp(t)
	f, err := os.Create(filepath.Join(path, "lock"))
	must(t, err)
	defer f.Close()
	must(t, filelock.Lock(f, unix.LOCK_SH))
	if _, err := d.TryLock("lock"); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("trying: %v", err)
	}
	if held, err := d.IsLocked("lock", unix.LOCK_SH); held || err != nil {
		t.Errorf("a shared lock keeps no shared one away: %v, %v", held, err)
	}
	if held, err := d.IsLocked("lock", unix.LOCK_EX); !held || err != nil {
		t.Errorf("a shared lock keeps an exclusive one away: %v, %v", held, err)
	}
	must(t, filelock.Lock(f, unix.LOCK_EX))
	if held, err := d.IsLocked("lock", unix.LOCK_SH); !held || err != nil {
		t.Errorf("locked: %v, %v", held, err)
	}
	if held, err := d.IsLocked("none", unix.LOCK_EX); held || err != nil {
		t.Errorf("a missing one: %v, %v", held, err)
	}
	if _, err := d.Lstat("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking made the lock: %v", err)
	}
}

func TestALeaseOnAFileCountsAsHeld(t *testing.T) {
	d, path := openTemp(t)
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDONLY, 0o600)
	must(t, err)
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatalf("taking a lease: %v", err)
	}
	if _, err := d.TryLock("lock"); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("trying: %v", err)
	}
}

func TestWhatIsReadIsBounded(t *testing.T) {
	d, path := openTemp(t)
	must(t, os.WriteFile(filepath.Join(path, "file"), make([]byte, 100), 0o600))
	if _, err := d.ReadFile("file", 99); !errors.Is(err, ErrTooLarge) {
		t.Errorf("reading: %v", err)
	}
	for i := range 10 {
		must(t, os.WriteFile(filepath.Join(path, fmt.Sprint(i)), nil, 0o600))
	}
	seen := 0
	complete, err := d.List(5, func(Entry) bool { seen++; return true })
	if complete || err != nil || seen != 5 {
		t.Errorf("listed %d, complete %v: %v", seen, complete, err)
	}
}

func TestADeepClosedTreeIsRemoved(t *testing.T) {
	d, path := openTemp(t)
	must(t, d.Mkdir("tree"))
	at, err := d.Dir("tree")
	must(t, err)
	for range 300 {
		must(t, at.Mkdir("d"))
		must(t, os.WriteFile(at.procPath("file"), nil, 0o600))
		next, err := at.Dir("d")
		must(t, err)
		at.Close()
		at = next
	}
	at.Close()
	must(t, os.Chmod(filepath.Join(path, "tree", "d", "d"), 0))
	must(t, d.RemoveTree(t.Context(), "tree"))
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func (d *Dir) procPath(name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", d.fd(), name) }

func TestRemovingEndsWithItsContext(t *testing.T) {
	d, path := openTemp(t)
	must(t, os.MkdirAll(filepath.Join(path, "a", "b"), 0o700))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.RemoveTree(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("removing: %v", err)
	}
}

func TestARenameReplacesNothing(t *testing.T) {
	d, path := openTemp(t)
	must(t, os.WriteFile(filepath.Join(path, "a"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(path, "b"), nil, 0o600))
	if err := d.Rename("a", d, "b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("renaming: %v", err)
	}
}
