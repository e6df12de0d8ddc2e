// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

const id = snapshot.ID("0123456789012345678901234567890123456789")

// free holds nothing back; onWait is called before each wait.
type free struct{ onWait func() error }

func (f free) Wait(context.Context, int) error {
	if f.onWait == nil {
		return nil
	}
	return f.onWait()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newSnapshot makes a snapshot of three files and returns its directory.
func newSnapshot(t *testing.T) (snapshots, dir string) {
	t.Helper()
	snapshots = t.TempDir()
	dir = filepath.Join(snapshots, string(id))
	data := filepath.Join(dir, snapshot.DataDir)
	check(t, os.MkdirAll(filepath.Join(data, "b"), 0o755))
	m := &snapshot.Manifest{Format: snapshot.Format, Key: snapshot.Key{Path: "p"}, Files: 3}
	listing := digest.NewListing(digest.XXH3)
	for _, name := range []string{"a", "b/c"} {
		path := filepath.Join(data, name)
		check(t, os.WriteFile(path, []byte("content of "+name), 0o644))
		info, err := os.Stat(path)
		check(t, err)
		sum, err := digest.Reader(strings.NewReader("content of "+name), digest.XXH3, make([]byte, 1<<20))
		check(t, err)
		m.Entries = append(m.Entries, snapshot.Entry{Path: name, Size: info.Size(), Mode: 0o644, Digest: sum,
			Modified: info.ModTime().UnixNano()})
		m.Bytes += info.Size()
		listing.Add(name, sum)
	}
	check(t, os.Symlink("a", filepath.Join(data, "link")))
	m.Entries = append(m.Entries, snapshot.Entry{Path: "link", Link: "a"})
	m.Digest = listing.Digest()
	text, err := json.Marshal(m)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, snapshot.ManifestName), text, 0o644))
	return snapshots, dir
}

// rewrite changes the bytes of a file, of the same length, and sets the time back.
func rewrite(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	check(t, err)
	check(t, os.WriteFile(path, []byte(strings.Repeat("#", int(info.Size()))), 0o644))
	check(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func TestEachDifferenceIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(t *testing.T, dir string)
		file, want string
	}{
		"none":  {func(*testing.T, string) {}, "", ""},
		"bytes": {func(t *testing.T, dir string) { rewrite(t, filepath.Join(dir, "data/b/c")) }, "b/c", "its bytes have the digest"},
		"size":  {func(t *testing.T, dir string) { check(t, os.Truncate(filepath.Join(dir, "data/a"), 3)) }, "a", "it has 3 bytes instead of 12"},
		"mode":  {func(t *testing.T, dir string) { check(t, os.Chmod(filepath.Join(dir, "data/a"), 0o600)) }, "a", "it has the mode"},
		"time": {func(t *testing.T, dir string) {
			check(t, os.Chtimes(filepath.Join(dir, "data/a"), time.Now(), time.Now().Add(time.Hour)))
		}, "a", "it was written at"},
		"missing": {func(t *testing.T, dir string) { check(t, os.Remove(filepath.Join(dir, "data/a"))) }, "a", "it cannot be looked at"},
		"a pipe": {func(t *testing.T, dir string) {
			check(t, os.Remove(filepath.Join(dir, "data/a")))
			check(t, unix.Mkfifo(filepath.Join(dir, "data/a"), 0o644))
		}, "a", "it is no regular file"},
		"a link as directory": {func(t *testing.T, dir string) {
			check(t, os.Rename(filepath.Join(dir, "data/b"), filepath.Join(dir, "b")))
			check(t, os.Symlink("../b", filepath.Join(dir, "data/b")))
		}, "b/c", "it cannot be opened"},
		"a link that leads elsewhere": {func(t *testing.T, dir string) {
			check(t, os.Remove(filepath.Join(dir, "data/link")))
			check(t, os.Symlink("b/c", filepath.Join(dir, "data/link")))
		}, "link", "it is no link to where"},
		"the manifest is gone": {func(t *testing.T, dir string) { check(t, os.Remove(filepath.Join(dir, "manifest.json"))) }, "",
			"the manifest cannot be read"},
		"the manifest is cut": {func(t *testing.T, dir string) { check(t, os.Truncate(filepath.Join(dir, "manifest.json"), 300)) }, "",
			"the manifest cannot be read"},
		"the manifest fits the files, but not its digest": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, "manifest.json")
			text, err := os.ReadFile(path)
			check(t, err)
			var m snapshot.Manifest
			check(t, json.Unmarshal(text, &m))
			m.Digest = "xxh3:00000000000000000000000000000000"
			text, err = json.Marshal(m)
			check(t, err)
			check(t, os.WriteFile(path, text, 0o644))
		}, "", "the manifest lists files of the digest"},
	} {
		t.Run(name, func(t *testing.T) {
			snapshots, dir := newSnapshot(t)
			c.change(t, dir)
			d, err := confined.Open(snapshots)
			check(t, err)
			defer d.Close()
			got, err := New(free{}).Snapshot(t.Context(), d, id)
			check(t, err)
			if c.want == "" {
				if got != nil {
					t.Errorf("found %+v", got)
				}
				return
			}
			if got == nil || got.File != c.file || !strings.Contains(got.Message, c.want) {
				t.Errorf("found %+v, want %q at %q", got, c.want, c.file)
			}
		})
	}
}

func TestWhatIsEvictedMeanwhileIsNoFinding(t *testing.T) {
	snapshots, dir := newSnapshot(t)
	d, err := confined.Open(snapshots)
	check(t, err)
	defer d.Close()
	waits := 0
	evict := free{func() error {
		if waits++; waits == 2 {
			check(t, os.Rename(dir, filepath.Join(snapshots, "aside")))
			check(t, os.RemoveAll(filepath.Join(snapshots, "aside")))
		}
		return nil
	}}
	if got, err := New(evict).Snapshot(t.Context(), d, id); got != nil || !errors.Is(err, ErrGone) {
		t.Errorf("found %+v, %v", got, err)
	}
	if got, err := New(free{}).Snapshot(t.Context(), d, id); got != nil || !errors.Is(err, ErrGone) {
		t.Errorf("of none found %+v, %v", got, err)
	}
}

func TestALackOfOpenFilesIsNoDamage(t *testing.T) {
	snapshots, _ := newSnapshot(t)
	d, err := confined.Open(snapshots)
	check(t, err)
	defer d.Close()
	var before unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	short := false
	lack := free{func() error {
		if !short {
			short = true
			now := before
			now.Cur = 1
			check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &now))
		}
		return nil
	}}
	got, err := New(lack).Snapshot(t.Context(), d, id)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
	if got != nil || !errors.Is(err, unix.EMFILE) || !confined.IsShortage(err) {
		t.Errorf("found %+v, %v", got, err)
	}
}

func TestTheEndOfTheContextIsNoFinding(t *testing.T) {
	snapshots, _ := newSnapshot(t)
	d, err := confined.Open(snapshots)
	check(t, err)
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	stop := free{func() error { cancel(); return ctx.Err() }}
	if got, err := New(stop).Snapshot(ctx, d, id); got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("found %+v, %v", got, err)
	}
}
