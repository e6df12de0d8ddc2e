// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

const (
	mine    = "11111111-1111-4111-8111-111111111111"
	earlier = "22222222-2222-4222-8222-222222222222"
)

// house is the directory of a namespace's name.
type house struct {
	t   *testing.T
	dir string
	*Remains
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	h.Remains = Beside(filepath.Join(h.dir, mine), time.Time{})
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return h
}

// put writes a file, and the directories above it.
func (h *house) put(path, content string) {
	h.t.Helper()
	path = filepath.Join(h.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// hold locks a file as a running process does.
func (h *house) hold(path string) (release func()) {
	h.t.Helper()
	h.put(path, "")
	f, err := os.Open(filepath.Join(h.dir, path))
	if err != nil {
		h.t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		h.t.Fatal(err)
	}
	return func() { _ = f.Close() }
}

func (h *house) sweep(legacy bool) []string {
	h.t.Helper()
	removed, err := h.Sweep(h.t.Context(), legacy)
	if err != nil {
		h.t.Fatal(err)
	}
	return removed
}

func (h *house) has(path string) bool {
	_, err := os.Lstat(filepath.Join(h.dir, path))
	return err == nil
}

func (h *house) later(d time.Duration) { h.now = func() time.Time { return time.Now().Add(d) } }

func TestOnlyAStoreOfAUIDHasAnythingBesideIt(t *testing.T) {
	for _, root := range []string{"/var/lib/kuda", "/data/store", "/var/lib/kuda/" + mine + "x"} {
		if Beside(root, time.Time{}) != nil {
			t.Errorf("%s is taken for the store of a namespace", root)
		}
	}
}

func TestTheDirectoriesAreClosedToOtherUsers(t *testing.T) {
	h := newHouse(t)
	for _, dir := range []string{h.dir, filepath.Join(h.dir, mine)} {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

func TestAnEarlierNamespacesStoreGoesWhenNothingLivesInIt(t *testing.T) {
	h := newHouse(t)
	h.put(mine+"/snapshots/x/data/f", "mine")
	h.put(earlier+"/snapshots/x/data/f", "theirs")
	h.put("notes/f", "the operator's")
	end := h.hold(earlier + "/pods/p/lock")
	if got := h.sweep(false); len(got) > 0 {
		t.Fatalf("%v was removed under a running runtime", got)
	}
	end()
	// Its runtime may be starting again.
	if got := h.sweep(false); len(got) > 0 {
		t.Fatalf("%v was removed at once", got)
	}
	h.later(podstate.RestartPause - time.Minute)
	if got := h.sweep(false); len(got) > 0 {
		t.Fatalf("%v was removed too early", got)
	}
	h.later(podstate.RestartPause + time.Minute)
	if got := h.sweep(false); !slices.Equal(got, []string{earlier}) || h.has(earlier) {
		t.Errorf("removed %v", got)
	}
	if !h.has(mine+"/snapshots/x/data/f") || !h.has("notes/f") {
		t.Error("what is not to be removed is gone")
	}
}

func TestAnEarlierNamespacesPodsThatEndedDoNotHoldItsStore(t *testing.T) {
	h := newHouse(t)
	h.put(earlier+"/pods/p/lock", "")
	h.put(earlier+"/pods/p/ended", "")
	if got := h.sweep(false); !slices.Equal(got, []string{earlier}) {
		t.Errorf("removed %v", got)
	}
}

// A store that is open, by a command perhaps, is in use.
func TestAnOpenStoreIsNotRemoved(t *testing.T) {
	h := newHouse(t)
	s, err := store.Open(store.Options{Root: filepath.Join(h.dir, earlier)})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.sweep(false); len(got) > 0 {
		t.Fatalf("%v was removed", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := h.sweep(false); !slices.Equal(got, []string{earlier}) {
		t.Errorf("removed %v", got)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	h := newHouse(t)
	outside := t.TempDir()
	victim := filepath.Join(outside, "file")
	if err := os.WriteFile(victim, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.put(mine+"/snapshots/x/data/f", "mine")
	h.put(earlier+"/pods/p/f", "")
	links := map[string]string{
		"33333333-3333-4333-8333-333333333333": outside,
		"44444444-4444-4444-8444-444444444444": mine,
		earlier + "/pods/p/orphaned":           victim,
		earlier + "/pods/q":                    outside,
		earlier + "/outside":                   outside,
		earlier + "/pods/p/mine":               "../../../" + mine,
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(h.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	h.sweep(false)
	h.later(time.Hour)
	if got := h.sweep(false); !slices.Equal(got, []string{earlier}) {
		t.Errorf("removed %v", got)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "kept" {
		t.Errorf("the file outside has %q, %v", text, err)
	}
	if !h.has(mine + "/snapshots/x/data/f") {
		t.Error("the store itself was touched")
	}
}

func TestALinkInTheOldStoreDoesNotLeadIntoTheNewOne(t *testing.T) {
	h := newHouse(t)
	h.put(mine+"/snapshots/x/data/f", "mine")
	h.put("snapshots/y/data/f", "old")
	h.put("pods/p/lock", "")
	if err := os.Symlink("../../"+mine+"/snapshots/x/data/f", filepath.Join(h.dir, "pods/p/orphaned")); err != nil {
		t.Fatal(err)
	}
	h.sweep(true)
	if text, err := os.ReadFile(filepath.Join(h.dir, mine, "snapshots/x/data/f")); err != nil || string(text) != "mine" {
		t.Errorf("the store's file has %q, %v", text, err)
	}
}

func TestTheStoreOfV010GoesWithTheLastPodOfThatRelease(t *testing.T) {
	h := newHouse(t)
	h.put(mine+"/snapshots/x/data/f", "mine")
	for _, name := range []string{"snapshots/y/data/f", "marks/y", "preheat/d.json", "boot", "id", "locks/y.lease"} {
		h.put(name, "")
	}
	end := h.hold("pods/p/lock")
	if got := h.sweep(true); len(got) > 0 {
		t.Fatalf("%v was removed under a running pod", got)
	}
	end()
	h.sweep(true)
	h.later(podstate.DeadAfter - time.Minute)
	if got := h.sweep(true); len(got) > 0 {
		t.Fatalf("%v was removed too early", got)
	}
	h.later(podstate.DeadAfter + time.Minute)
	if got := h.sweep(false); len(got) > 0 || !h.has("snapshots/y") {
		t.Fatalf("%v was removed though it was not asked for", got)
	}
	if got := h.sweep(true); len(got) != 1 {
		t.Errorf("removed %v", got)
	}
	names, err := os.ReadDir(h.dir)
	if err != nil || len(names) != 1 || names[0].Name() != mine {
		t.Errorf("left are %v, %v", names, err)
	}
}

func TestWhatACrashLeftOfADeletionGoes(t *testing.T) {
	h := newHouse(t)
	h.put(gonePrefix+earlier+"/snapshots/x/data/f", "")
	h.sweep(false)
	if h.has(gonePrefix + earlier) {
		t.Error("it is still there")
	}
}

// The directory bears the name only, so what v0.1.0 left may be another tenant's.
func TestAStoreOfV010ThatIsOlderThanTheNamespaceIsNotRead(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"snapshots/y/data/f", "id", "locks/y.lease", "pods/p/lock", "pods/p/ended"} {
		h.put(name, "")
	}
	h.created = time.Now().Add(-time.Hour)
	if h.Legacy() == nil {
		t.Error("the namespace's own is not read")
	}
	if got := h.sweep(false); len(got) > 0 {
		t.Errorf("removed %v", got)
	}
	h.created = time.Now().Add(time.Minute)
	if h.Legacy() != nil {
		t.Error("another's is read")
	}
	if got := h.sweep(false); len(got) != 1 || h.has("snapshots") {
		t.Errorf("removed %v", got)
	}
}
