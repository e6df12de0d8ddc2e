// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

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

	"github.com/kuda-io/kuda/internal/delivery/snapshot"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/store/podref"
	"github.com/kuda-io/kuda/internal/filelock"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// preheatLock is held, in the directory of the records, by who changes one.
const preheatLock = ".lock"

// preheatRecord is what stays in the store of what a pod brought there for pods to
// come. It is the store's, not the pod's: package podref reads it when the pod is
// long gone.
type preheatRecord struct {
	// Revision is what was preheated last, and Previous before that: what a
	// rollback goes back to.
	Revision  string                     `json:"revision"`
	Previous  string                     `json:"previous,omitempty"`
	Revisions map[string]preheatRevision `json:"revisions"`
}

type preheatRevision struct {
	Items map[itemKey]preheatItem `json:"items"`
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

func (a *Agent) preheatDir() string { return filepath.Join(a.store.Root(), podref.PreheatDir) }

// keepPreheated writes down that a revision's snapshots are to stay when the pod
// is gone.
func (a *Agent) keepPreheated(dataset, revision string, items map[itemKey]itemRecord) error {
	if err := os.MkdirAll(a.preheatDir(), 0o755); err != nil {
		return fmt.Errorf("remembering what is preheated: %w", err)
	}
	unlock, err := a.lockPreheats()
	if err != nil {
		return err
	}
	defer unlock()
	rev := preheatRevision{Items: make(map[itemKey]preheatItem, len(items))}
	for key, item := range items {
		rev.Items[key] = preheatItem{Version: item.Version, Snapshot: item.Snapshot}
	}
	path := filepath.Join(a.preheatDir(), dataset+recordSuffix)
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

// forgetPreheats removes the records of DataSets whose data is no longer to stay.
// Only what the gateway says now counts, not what is remembered of it.
func (a *Agent) forgetPreheats(m *gatewayv1alpha1.WatchResponse) error {
	if m.GetPreheats() == nil {
		return nil
	}
	keep := m.GetPreheats().GetDatasets()
	for _, as := range m.GetAssignments() {
		if as.GetPreheat() {
			keep = append(slices.Clone(keep), as.GetDataset())
		}
	}
	var stale []string
	entries, err := os.ReadDir(a.preheatDir())
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), recordSuffix); ok && !slices.Contains(keep, name) {
			stale = append(stale, e.Name())
		}
	}
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(stale) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for what is preheated: %w", err)
	}
	unlock, err := a.lockPreheats()
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range stale {
		err = errors.Join(err, atomicfile.Remove(filepath.Join(a.preheatDir(), name)))
	}
	return err
}

// lockPreheats keeps other runtimes from changing the records.
func (a *Agent) lockPreheats() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(a.preheatDir(), preheatLock), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking what is preheated: %w", err)
	}
	if err := filelock.Lock(f, unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking what is preheated: %w", err)
	}
	return func() { _ = f.Close() }, nil
}
