// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
	"github.com/kuda-io/kuda/internal/source/sourcetest/odd"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustFetch(t *testing.T, args ...string) {
	t.Helper()
	if out, code := fetch(t, args...); code != 0 {
		t.Fatal(out)
	}
}

// An inode's number is given to the next directory as soon as it is free.
func TestDirectoryThatReusesOurInodeNumberIsLeftAlone(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("content"))
	dir := filepath.Join(t.TempDir(), "out")
	mustFetch(t, server.URL+"/f", dir)
	target, err := newTarget(dir, "")
	must(t, err)
	one, err := birthOf(dir)
	must(t, err)
	// The same number, and made at another moment.
	must(t, os.RemoveAll(dir))
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600))
	now, err := birthOf(dir)
	must(t, err)
	one.Inode = now.Inode
	must(t, target.recordBirths(one))
	if out, code := fetch(t, server.URL+"/f", dir); code != exitUsage {
		t.Errorf("exit %d: %s", code, out)
	}
	read(t, filepath.Join(dir, "precious"))
}

// After a restart the same disk may have another number.
func TestADirectoryIsOursWhateverNumberItsDeviceGot(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("content"))
	dir := filepath.Join(t.TempDir(), "out")
	mustFetch(t, server.URL+"/f", dir)
	target, err := newTarget(dir, "")
	must(t, err)
	one, err := birthOf(dir)
	must(t, err)
	must(t, os.WriteFile(target.note, fmt.Appendf(nil, `[{"inode":%d,"device":99999,"seconds":%d,"nanoseconds":%d}]`,
		one.Inode, one.Seconds, one.Nanoseconds), 0o600))
	server.Put("f", []byte("changed"))
	mustFetch(t, server.URL+"/f", dir)
	if got := read(t, filepath.Join(dir, "f")); got != "changed" {
		t.Errorf("got %q", got)
	}
}

// A volume is mounted at another path in another container.
func TestADirectoryIsOursAtWhateverPathItIsMounted(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("content"))
	parent := filepath.Join(t.TempDir(), "one")
	must(t, os.Mkdir(parent, 0o755))
	mustFetch(t, server.URL+"/f", filepath.Join(parent, "out"))
	moved := filepath.Join(t.TempDir(), "another")
	must(t, os.Rename(parent, moved))
	server.Put("f", []byte("changed"))
	mustFetch(t, server.URL+"/f", filepath.Join(moved, "out"))
	if got := read(t, filepath.Join(moved, "out", "f")); got != "changed" {
		t.Errorf("got %q", got)
	}
}

// Version 0.1 wrote numbers only.
func TestADirectoryOfAnOlderFetchIsStillOurs(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("content"))
	dir := filepath.Join(t.TempDir(), "out")
	mustFetch(t, server.URL+"/f", dir)
	target, err := newTarget(dir, "")
	must(t, err)
	one, err := birthOf(dir)
	must(t, err)
	text, err := json.Marshal([]uint64{one.Inode})
	must(t, err)
	must(t, os.WriteFile(target.note, text, 0o600))
	mustFetch(t, server.URL+"/f", dir)
	// One that is younger than the note only has the number.
	one, err = birthOf(dir)
	must(t, err)
	text, err = json.Marshal([]uint64{one.Inode})
	must(t, err)
	must(t, os.WriteFile(target.note, text, 0o600))
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(target.note, old, old))
	if out, code := fetch(t, server.URL+"/f", dir); code != exitUsage {
		t.Errorf("exit %d: %s", code, out)
	}
}

// A power cut leaves a note of no bytes where it was not flushed. Taken for a
// version, it would be that of every other such fetch.
func TestTruncatedNoteIsIgnored(t *testing.T) {
	for _, left := range []string{"", "\x00\x00", "ABC", strings.Repeat("A", 27), strings.Repeat("a", 26)} {
		server := sourcetest.NewServer(t)
		server.Put("f", []byte("one"))
		dir := filepath.Join(t.TempDir(), "out")
		mustFetch(t, server.URL+"/f", dir)
		for _, content := range []string{"two", "three"} {
			// The note that a fetch of this key would leave.
			plantNotes(t, dir, left, func() {
				server.Put("f", []byte(content))
				mustFetch(t, server.URL+"/f", dir)
			})
			if got := read(t, filepath.Join(dir, "f")); got != content {
				t.Errorf("%q: published %q, not %q", left, got, content)
			}
		}
	}
}

// A fetch that is cut off after its last byte leaves its note and a whole snapshot.
// The next one asks the source all the same.
func TestNoteOfACompleteSnapshotIsIgnored(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("one"))
	dir := filepath.Join(t.TempDir(), "out")
	mustFetch(t, server.URL+"/f", dir)
	manifests, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".out.kuda", "snapshots", "*", "manifest.json"))
	if err != nil || len(manifests) != 1 {
		t.Fatalf("%v, %v", manifests, err)
	}
	var manifest struct{ Key snapshot.Key }
	must(t, json.Unmarshal([]byte(read(t, manifests[0])), &manifest))
	plantNotes(t, dir, manifest.Key.Version, func() {
		server.Put("f", []byte("two"))
		mustFetch(t, server.URL+"/f", dir)
	})
	if got := read(t, filepath.Join(dir, "f")); got != "two" {
		t.Errorf("published %q", got)
	}
}

// plantNotes writes a note under the name that a fetch looks for, which a failed
// one shows.
func plantNotes(t *testing.T, dir, left string, fetchAgain func()) {
	t.Helper()
	store := filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".kuda")
	snapshots, err := filepath.Glob(store + "/snapshots/*")
	if err != nil || len(snapshots) == 0 {
		t.Fatalf("no snapshot: %v", err)
	}
	names, err := filepath.Glob(store + "/fetching-*")
	must(t, err)
	if len(names) > 0 {
		t.Fatalf("left over: %v", names)
	}
	must(t, os.WriteFile(noteName(t, store, snapshots[0]), []byte(left), 0o600))
	fetchAgain()
	if names, _ := filepath.Glob(store + "/fetching-*"); len(names) > 0 {
		t.Errorf("left over: %v", names)
	}
}

// A partial download whose note is lost cannot be resumed.
func TestWhatAnEarlierFetchLeftHalfDoneGoes(t *testing.T) {
	server := odd.NewHTTP(t)
	server.Put("f.bin", make([]byte, 40<<20))
	server.Fail(odd.Faults{Redirect: "http://127.0.0.1:1/"})
	dir := filepath.Join(t.TempDir(), "out")
	if out, code := fetch(t, server.URL+"/f.bin", dir); code != exitUnreachable {
		t.Fatalf("exit %d: %s", code, out)
	}
	root := filepath.Join(filepath.Dir(dir), ".out.kuda")
	notes, err := filepath.Glob(root + "/fetching-*")
	if err != nil || len(notes) != 1 {
		t.Fatalf("got %v, %v", notes, err)
	}
	must(t, os.WriteFile(notes[0], nil, 0o600))
	server.Fail(odd.Faults{})
	mustFetch(t, server.URL+"/f.bin", dir)
	if left, _ := filepath.Glob(root + "/snapshots/*.partial"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestNotedVersionIsReadBack(t *testing.T) {
	note := filepath.Join(t.TempDir(), "note")
	version := rand.Text()
	must(t, os.WriteFile(note, []byte(version), 0o600))
	if got, err := readNotedVersion(note); got != version || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := readNotedVersion(note + "-missing"); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTheWorkingDirectoryIsNotReplaced(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("content"))
	dir := filepath.Join(t.TempDir(), "out")
	mustFetch(t, server.URL+"/f", dir)
	t.Chdir(dir)
	for _, name := range []string{".", dir, dir + "/../out"} {
		if out, code := fetch(t, server.URL+"/f", name); code != exitUsage {
			t.Errorf("%s: exit %d: %s", name, code, out)
		}
	}
	if _, err := os.Stat("f"); err != nil {
		t.Error(err)
	}
	mustFetch(t, server.URL+"/f", "below")
}

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("tree/d/f", []byte("content"))
	dir := filepath.Join(t.TempDir(), "out")
	defer syscall.Umask(syscall.Umask(0o077))
	mustFetch(t, server.URL+"/tree/", dir)
	for name, want := range map[string]fs.FileMode{"": 0o755, "d": 0o755, "d/f": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v", name, info.Mode(), err)
		}
	}
}

func TestNamesAreTakenAsTheyAre(t *testing.T) {
	server := odd.NewS3(t)
	dir := t.TempDir()
	for _, key := range []string{"50%off/x", "a b", "100%", "h#x", "q?x", "a%20b", "a+b"} {
		server.Put(key, []byte(key))
		mustFetch(t, "s3://"+odd.Bucket+"/"+key, filepath.Join(dir, "out"), "--endpoint", server.URL, "--path-style")
		if got := read(t, filepath.Join(dir, "out", filepath.Base(key))); got != key {
			t.Errorf("%s: got %q", key, got)
		}
	}
	for _, c := range [][]string{
		{"http://user:S3CRET@host/f"}, {"http://host/f?sig=S3CRET"}, {"http://host/f#S3CRET"}, {"http://host/%zz?sig=S3CRET"},
		{"ftp://u:S3CRET@h/f"},
		{"s3://key:S3CRET@bucket/f"}, {"s3://" + odd.Bucket + "/f", "--endpoint", "http://u:S3CRET@host"},
		{"s3://" + odd.Bucket + "/f", "--endpoint", server.URL + "/path"},
	} {
		if out, code := fetch(t, append([]string{c[0], filepath.Join(dir, "out")}, c[1:]...)...); code != exitUsage ||
			strings.Contains(out, "S3CRET") {
			t.Errorf("%v: exit %d: %s", c, code, out)
		}
	}
}

func TestAServerThatDoesNotSendPartsIsNotedOnce(t *testing.T) {
	server := odd.NewHTTP(t)
	server.Put("f.bin", make([]byte, 40<<20))
	server.Fail(odd.Faults{IgnoreRanges: true})
	out, code := fetch(t, server.URL+"/f.bin", filepath.Join(t.TempDir(), "out"))
	if code != 0 || strings.Count(out, "note: ") != 1 {
		t.Errorf("exit %d: %s", code, out)
	}
}

// noteName is what the note of the fetch is called whose snapshot is at a path:
// the fetch made up a version, which is no part of the note's name.
func noteName(t *testing.T, root, snapshot string) string {
	t.Helper()
	s, err := store.Open(store.Options{Root: root})
	must(t, err)
	list, err := s.Snapshots()
	must(t, err)
	for _, one := range list {
		if string(one.ID) == filepath.Base(snapshot) {
			key := one.Key
			key.Version = ""
			return filepath.Join(root, "fetching-"+string(key.ID()))
		}
	}
	t.Fatal("no snapshot")
	return ""
}
