// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// home is a store's directory.
type home struct {
	t    *testing.T
	root string
}

func newHome(t *testing.T) *home {
	h := &home{t: t, root: t.TempDir()}
	for _, dir := range []string{store.SnapshotsDir, store.LocksDir, store.MarksDir, store.TrashDir, podstate.PodsDir, podstate.PreheatDir} {
		check(t, os.Mkdir(filepath.Join(h.root, dir), 0o700))
	}
	h.write(store.IDFile, strings.Repeat("ab", 16)+"\n")
	return h
}

func (h *home) write(path, text string) {
	h.t.Helper()
	path = filepath.Join(h.root, path)
	check(h.t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(h.t, os.WriteFile(path, []byte(text), 0o600))
}

// add makes a snapshot by its manifest alone.
func (h *home) add(version string, bytes int64, source string) snapshot.ID {
	h.t.Helper()
	m := &snapshot.Manifest{Format: snapshot.Format, Key: snapshot.Key{Source: source, Path: "p", Version: version},
		Digest: "xxh3:00", Bytes: bytes, Files: 1, Entries: []snapshot.Entry{{Path: "f", Size: bytes}}}
	text, err := json.Marshal(m)
	check(h.t, err)
	id := snapshot.Key{Version: version}.ID()
	h.write(filepath.Join(store.SnapshotsDir, string(id), snapshot.ManifestName), string(text))
	return id
}

// addPod makes a pod whose record names snapshots.
func (h *home) addPod(uid string, preheat bool, ids ...snapshot.ID) {
	h.t.Helper()
	items := map[string]any{}
	for i, id := range ids {
		items[fmt.Sprintf("n/%d", i)] = map[string]any{"snapshot": id}
	}
	text, err := json.Marshal(map[string]any{"revisions": map[string]any{"r": map[string]any{"items": items}}, "preheat": preheat})
	check(h.t, err)
	h.write(filepath.Join(podstate.PodsDir, uid, podstate.DatasetsDir, "set.json"), string(text))
}

// look reads the store with these pods published.
func (h *home) look(c *Census, uids ...string) *Store {
	h.t.Helper()
	dir, err := confined.Open(h.root)
	check(h.t, err)
	defer dir.Close()
	v := published.Volumes{Pods: map[string]bool{}}
	for _, uid := range uids {
		v.Pods[uid] = true
	}
	c.Begin()
	defer c.End()
	s, err := c.Look(dir, Place{"n", "u"}, v)
	check(h.t, err)
	return s
}

func newCensus() *Census {
	return New(Options{Alive: func(Place, string) bool { return false }, Now: time.Now})
}

func (s *Store) find(id snapshot.ID) *Snapshot {
	for i := range s.Snapshots {
		if s.Snapshots[i].ID == id {
			return &s.Snapshots[i]
		}
	}
	return &Snapshot{}
}

func TestAStoreIsReadAsItsRuntimesWroteIt(t *testing.T) {
	h := newHome(t)
	used, cached, preheated := h.add("1", 10, "s"), h.add("2", 20, "s"), h.add("3", 30, "s")
	h.addPod("living", false, used)
	h.addPod("dead", false, cached)
	h.addPod("done", true, cached)
	h.write(filepath.Join(podstate.PreheatDir, "set.json"), `{"revisions":{"r":{"items":{"n/i":{"snapshot":"`+string(preheated)+`"}}}}}`)
	for i := range 20 {
		h.write(filepath.Join(store.MarksDir, string(used)+"."+fmt.Sprintf("%032x", 19-i)), "")
	}
	partial := string(snapshot.Key{Version: "4"}.ID()) + store.PartialSuffix
	h.write(filepath.Join(store.SnapshotsDir, partial, store.ReservedFile), "00000000000000000040\n")
	h.write(filepath.Join(store.LocksDir, store.SuspectName(cached)), "")
	s := h.look(newCensus(), "living", "done")
	if s.ID != strings.Repeat("ab", 16) || s.Used() != 60 || s.Unreadable != "" {
		t.Errorf("the store is %+v", s)
	}
	if diff := cmp.Diff([]string{"dead"}, s.Dead); diff != "" {
		t.Errorf("dead pods (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[snapshot.ID][]string{used: {"living"}}, s.Users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if u, c, p := s.find(used), s.find(cached), s.find(preheated); !u.Needed || c.Needed || !c.Suspect || !p.Wanted || u.Wanted {
		t.Errorf("used %+v, cached %+v, preheated %+v", u, c, p)
	}
	marks := s.find(used).Marks
	if len(marks) != maxMarksEach || marks[0] != fmt.Sprintf("%032x", 0) || marks[15] != fmt.Sprintf("%032x", 15) {
		t.Errorf("marks %v", marks)
	}
	if len(s.Partials) != 1 || s.Partials[0].Bytes != 40 || s.Partials[0].Running {
		t.Errorf("downloads %+v", s.Partials)
	}
}

func TestAManifestIsReadOnceAndAgainWhenItChanged(t *testing.T) {
	h := newHome(t)
	id := h.add("1", 10, "s")
	c := newCensus()
	h.look(c)
	path := filepath.Join(h.root, store.SnapshotsDir, string(id), snapshot.ManifestName)
	info, err := os.Stat(path)
	check(t, err)
	h.add("1", 20, "s")
	check(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	if got := h.look(c).find(id).Bytes; got != 10 {
		t.Errorf("a manifest of the same time was read again: %d bytes", got)
	}
	check(t, os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)))
	if got := h.look(c).find(id).Bytes; got != 20 {
		t.Errorf("a manifest that was written again was not read: %d bytes", got)
	}
	check(t, os.RemoveAll(filepath.Dir(path)))
	h.look(c)
	if len(c.headers) != 0 {
		t.Error("what is gone is still remembered")
	}
}

func TestADamagedPartIsNamedAndTheRestIsRead(t *testing.T) {
	h := newHome(t)
	good, bad := h.add("1", 10, "s"), h.add("2", 20, "s")
	h.write(filepath.Join(store.SnapshotsDir, string(bad), snapshot.ManifestName), "{")
	check(t, os.Remove(filepath.Join(h.root, store.MarksDir)))
	check(t, os.Symlink("/", filepath.Join(h.root, store.MarksDir)))
	h.write(filepath.Join(podstate.PodsDir, "torn", podstate.DatasetsDir, "x.json"), `{"revisions":{"r":{"it`)
	h.write(filepath.Join(podstate.PodsDir, "large", podstate.DatasetsDir, "x.json"), strings.Repeat(" ", maxRecord+1))
	s := h.look(newCensus(), "torn", "large")
	if s.find(good).Bytes != 10 || len(s.Snapshots) != 1 {
		t.Errorf("read %+v", s.Snapshots)
	}
	if s.Unreadable == "" || strings.Contains(s.Unreadable, h.root) {
		t.Errorf("unreadable: %q", s.Unreadable)
	}
}

func TestNamesOfSourcesTakeABoundedMemory(t *testing.T) {
	h := newHome(t)
	long := strings.Repeat("s", 100_000)
	id := h.add("1", 10, long)
	c := newCensus()
	if got := h.look(c).find(id).Key.Source; len(got) != maxText {
		t.Errorf("kept %d bytes", len(got))
	}
	c.text = maxStoreText
	if got := c.keptKey(snapshot.Key{Source: "s"}); got.Source != "" {
		t.Errorf("kept %q beyond what a store may have", got.Source)
	}
}

func TestWhatPodsNeedIsInDoubtWhenNotAllOfItIsRead(t *testing.T) {
	h := newHome(t)
	id := h.add("1", 10, "s")
	ids := make([]snapshot.ID, maxNeeded+1)
	for i := range ids {
		ids[i] = snapshot.Key{Version: fmt.Sprint("x", i)}.ID()
	}
	for i := range 3 {
		h.addPod(fmt.Sprint("p", i), false, ids[i*8000:min((i+1)*8000, len(ids))]...)
	}
	s := h.look(newCensus(), "p0", "p1", "p2")
	if !s.find(id).Needed || s.Unreadable == "" {
		t.Errorf("a snapshot may be evicted that a pod perhaps needs: %q", s.Unreadable)
	}
}
