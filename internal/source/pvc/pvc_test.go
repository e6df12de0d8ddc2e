// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pvc

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func open(t *testing.T, root string) *Source {
	t.Helper()
	s, err := New(Config{Root: root, Claim: "models"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write stores a file in place: what is worst for a reader.
func write(t *testing.T, root, name string, content []byte) {
	t.Helper()
	if err := tryWrite(root, name, content); err != nil {
		t.Fatal(err)
	}
}

func tryWrite(root, name string, content []byte) error {
	file := root + "/" + name
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

func TestContract(t *testing.T) {
	root := t.TempDir()
	sourcetest.Run(t, sourcetest.Harness{
		Open:   func(t *testing.T, _ string) source.Source { return open(t, root) },
		Put:    func(t *testing.T, path string, content []byte) { write(t, root, path, content) },
		Delete: func(t *testing.T, path string) { must(t, os.Remove(root+"/"+path)) },
		Mkdir:  func(t *testing.T, path string) { must(t, os.MkdirAll(root+"/"+path, 0o755)) },
		PutLink: func(t *testing.T, path, target string) {
			must(t, os.MkdirAll(filepath.Dir(root+"/"+path), 0o755))
			must(t, os.Symlink(target, root+"/"+path))
		},
		PutHostile: func(t *testing.T, path string, content []byte) bool {
			// What the kernel does not take as a name, no listing can show.
			_, name, _ := strings.Cut(path, "/")
			return filepath.Clean("/"+name) == "/"+name && tryWrite(root, path, content) == nil
		},
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// list returns what is listed and the error it ends with.
func list(t *testing.T, s *Source, path string) (entries []source.Entry, err error) {
	t.Helper()
	for entry, err := range s.List(t.Context(), path) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func TestLinksOutOfTheClaimAreNotFollowed(t *testing.T) {
	base := t.TempDir()
	root := base + "/claim"
	write(t, base, "secret/file", []byte("secret"))
	write(t, root, "inside/file", []byte("x"))
	must(t, os.Symlink("../secret", root+"/up"))
	must(t, os.Symlink(base+"/secret", root+"/absolute"))
	s := open(t, root)
	for _, path := range []string{"up/file", "up/", "absolute/file", "absolute/", "../secret/file", "inside/../../secret/file"} {
		if entries, err := list(t, s, path); !errors.Is(err, source.ErrMisconfigured) {
			t.Errorf("%s: got %+v, %v", path, entries, err)
		}
	}
}

func TestAFileReplacedByALinkIsNotReadThroughIt(t *testing.T) {
	base := t.TempDir()
	root := base + "/claim"
	write(t, base, "secret", []byte("secret"))
	write(t, root, "file", []byte("public"))
	s := open(t, root)
	entries, err := list(t, s, "file")
	must(t, err)
	must(t, os.Remove(root+"/file"))
	must(t, os.Symlink("../secret", root+"/file"))
	if _, err := s.Open(t.Context(), entries[0], 0, 6); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
	must(t, os.Remove(root+"/file"))
	write(t, root, "other", []byte("others"))
	must(t, os.Symlink("other", root+"/file"))
	if _, err := s.Open(t.Context(), entries[0], 0, 6); !errors.Is(err, source.ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestSpecialFilesAreRefusedAndNotWaitedFor(t *testing.T) {
	root := t.TempDir()
	must(t, os.Mkdir(root+"/tree", 0o755))
	must(t, unix.Mkfifo(root+"/tree/pipe", 0o644))
	s := open(t, root)
	if _, err := list(t, s, "tree/pipe"); !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("got %v", err)
	}
	// In a tree it is for the caller to say whether it is wanted.
	entries, err := list(t, s, "tree/")
	if err != nil || len(entries) != 1 || entries[0].Path != "pipe" {
		t.Fatalf("got %v, %v", entries, err)
	}
	if err := entries[0].Fault; !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("got %v", err)
	}
}

func TestAClaimThatIsNotMountedIsNamed(t *testing.T) {
	s := open(t, t.TempDir()+"/missing")
	if _, err := list(t, s, "file"); !errors.Is(err, source.ErrNotFound) || !strings.Contains(err.Error(), "models is not mounted") {
		t.Errorf("got %v", err)
	}
}

// Two changes within one step of the kernel's clock have the same stamp.
func TestAChangeRightAfterTheListingIsNotMissed(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	for i := range 50 {
		write(t, root, "file", []byte("old"))
		entries, err := list(t, s, "file")
		must(t, err)
		must(t, os.WriteFile(root+"/file", []byte("new"), 0o644))
		body, err := s.Open(t.Context(), entries[0], 0, 3)
		if err == nil {
			body.Close()
		}
		if !errors.Is(err, source.ErrChanged) {
			t.Fatalf("change %d: got %v", i, err)
		}
	}
}

func TestAFileThatNeverRestsIsNotWaitedForForever(t *testing.T) {
	now := time.Now()
	calls := 0
	again := func(stat *unix.Stat_t) error {
		calls++
		stat.Size++
		stat.Ctim = unix.NsecToTimespec(time.Now().UnixNano())
		return nil
	}
	stat := unix.Stat_t{Ctim: unix.NsecToTimespec(now.UnixNano())}
	if err := waitSettled(t.Context(), time.Millisecond, &stat, again); !errors.Is(err, errRestless) || calls != maxWaits {
		t.Errorf("got %v after %d looks", err, calls)
	}
	// A server's clock may be ahead; its files are not out of reach.
	stat.Ctim = unix.NsecToTimespec(now.Add(time.Hour).UnixNano())
	if err := waitSettled(t.Context(), time.Millisecond, &stat, func(*unix.Stat_t) error { return nil }); err != nil {
		t.Errorf("a stamp of the future: %v", err)
	}
}

// as runs f with the rights of an ordinary user, on a thread of its own that
// ends with it.
func as(t *testing.T, uid int, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread has to end
		if err := unix.Setfsuid(uid); err != nil {
			done <- err
			return
		}
		f()
		done <- nil
	}()
	must(t, <-done)
}

func TestUnreadableFilesAreDenied(t *testing.T) {
	root := t.TempDir()
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	write(t, root, "tree/public", []byte("public"))
	write(t, root, "tree/secret", []byte("secret"))
	must(t, os.Chmod(root+"/tree/secret", 0))
	must(t, os.Mkdir(root+"/closed", 0))
	must(t, os.Mkdir(root+"/lost+found", 0))
	s := open(t, root)
	as(t, os.Getuid()+65534, func() {
		entries, err := list(t, s, "tree/")
		if err != nil || len(entries) != 2 {
			t.Errorf("listing: got %+v, %v", entries, err)
			return
		}
		for _, e := range entries {
			body, err := s.Open(t.Context(), e, 0, e.Size)
			if err == nil {
				body.Close()
			}
			if wanted := e.Path == "secret"; errors.Is(err, source.ErrDenied) != wanted {
				t.Errorf("%s: got %v", e.Path, err)
			}
		}
		if _, err := list(t, s, "closed/"); !errors.Is(err, source.ErrDenied) {
			t.Errorf("a closed directory: got %v", err)
		}
	})
	must(t, os.Remove(root+"/closed"))
	as(t, os.Getuid()+65534, func() {
		if entries, err := list(t, s, ""); err != nil || len(entries) != 2 {
			t.Errorf("with lost+found: got %+v, %v", entries, err)
		}
	})
}
