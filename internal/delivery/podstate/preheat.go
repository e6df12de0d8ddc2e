// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// PreheatLock is held, in PreheatDir, by who changes a record there.
const PreheatLock = ".lock"

// preheatRecord is what stays in the store of what a pod brought there for pods to
// come. It is the store's, not the pod's: it is read when the pod is long gone, as
// a Record of which only the snapshots matter.
type preheatRecord struct {
	// Revision is what was preheated last, and Previous before that: what a
	// rollback goes back to.
	Revision  string                     `json:"revision"`
	Previous  string                     `json:"previous,omitempty"`
	Revisions map[string]preheatRevision `json:"revisions"`
}

type preheatRevision struct {
	Items map[ItemKey]preheatItem `json:"items"`
}

type preheatItem struct {
	Version  string      `json:"version"`
	Snapshot snapshot.ID `json:"snapshot"`
}

// addRevision makes a revision the one that was preheated last, and reports whether that
// changed anything.
func (r *preheatRecord) addRevision(revision string, rev preheatRevision) bool {
	if r.Revision == revision && maps.Equal(r.Revisions[revision].Items, rev.Items) {
		return false
	}
	if r.Revision != revision {
		r.Previous = r.Revision
	}
	before, ok := r.Revisions[r.Previous]
	r.Revision, r.Revisions = revision, map[string]preheatRevision{revision: rev}
	if ok && r.Previous != revision {
		r.Revisions[r.Previous] = before
	}
	return true
}

// Wanted returns the snapshots that are preheated. It is for store.Options.
func (p *Pods) Wanted() (map[snapshot.ID]bool, error) { return idsOf(p.Preheats()) }

// Preheats returns the names of the DataSets that a snapshot is preheated for.
func (p *Pods) Preheats() (map[snapshot.ID][]string, error) {
	files, err := filepath.Glob(filepath.Join(p.preheat, "*"+RecordSuffix))
	if err != nil {
		return nil, fmt.Errorf("looking for what is preheated: %w", err)
	}
	preheats := map[snapshot.ID][]string{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), RecordSuffix)
		r, err := readReferences(file)
		if err != nil {
			return nil, fmt.Errorf("reading what is preheated for %s: %w", name, err)
		}
		for id := range r.Snapshots() {
			preheats[id] = append(preheats[id], name)
		}
	}
	return preheats, nil
}

// KeepPreheated writes down that a revision's snapshots are to stay when the pod
// is gone.
func (p *Pods) KeepPreheated(dataset, revision string, items map[ItemKey]Item) error {
	if err := os.MkdirAll(p.preheat, 0o755); err != nil {
		return fmt.Errorf("remembering what is preheated: %w", err)
	}
	unlock, err := p.lockPreheats()
	if err != nil {
		return err
	}
	defer unlock()
	rev := preheatRevision{Items: make(map[ItemKey]preheatItem, len(items))}
	for key, item := range items {
		rev.Items[key] = preheatItem{Version: item.Version, Snapshot: item.Snapshot}
	}
	path := filepath.Join(p.preheat, dataset+RecordSuffix)
	var r preheatRecord
	text, err := os.ReadFile(path)
	if err == nil && json.Unmarshal(text, &r) != nil {
		r = preheatRecord{} // torn: only what a rollback would go back to is lost
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading what is preheated: %w", err)
	}
	if !r.addRevision(revision, rev) {
		return nil
	}
	if text, err = json.Marshal(r); err != nil {
		return fmt.Errorf("remembering what is preheated: %w", err)
	}
	return atomicfile.Write(path, text, 0o644)
}

// ForgetPreheats removes the records of all DataSets but those to keep.
func (p *Pods) ForgetPreheats(keep []string) error {
	var stale []string
	entries, err := os.ReadDir(p.preheat)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), RecordSuffix); ok && !slices.Contains(keep, name) {
			stale = append(stale, e.Name())
		}
	}
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(stale) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for what is preheated: %w", err)
	}
	unlock, err := p.lockPreheats()
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range stale {
		err = errors.Join(err, atomicfile.Remove(filepath.Join(p.preheat, name)))
	}
	return err
}

// lockPreheats keeps other runtimes from changing the records.
func (p *Pods) lockPreheats() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(p.preheat, PreheatLock), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking what is preheated: %w", err)
	}
	if err := filelock.Lock(f, unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking what is preheated: %w", err)
	}
	return func() { _ = f.Close() }, nil
}
