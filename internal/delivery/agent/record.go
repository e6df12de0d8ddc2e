// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

const recordSuffix = ".json"

// record is what must be remembered of one DataSet across restarts.
type record struct {
	path string

	// Revisions that are in the view, or about to be.
	Revisions map[string]revisionRecord `json:"revisions,omitempty"`
	// Hooks that were done: ID to mark.
	Hooks map[string]string `json:"hooks,omitempty"`
	// Failed is the revision that a failing hook stopped; it is not tried again.
	Failed *failedRevision `json:"failed,omitempty"`
	// Preheat: the pod is there to bring the data to the node, and no longer needs
	// it once its runtime has ended; package podref reads this.
	Preheat bool `json:"preheat,omitempty"`
}

// revisionRecord has the items of a revision.
type revisionRecord struct {
	Items map[itemKey]itemRecord `json:"items"`
	// Confirmed: all of its hooks were done.
	Confirmed bool `json:"confirmed,omitempty"`
}

// itemRecord is an item as it was delivered.
type itemRecord struct {
	LocalPath string    `json:"localPath"`
	Version   string    `json:"version"`
	Mark      string    `json:"mark"`
	Way       string    `json:"way,omitempty"`
	Snapshot  store.ID  `json:"snapshot"`
	Digest    string    `json:"digest"`
	Bytes     int64     `json:"bytes"`
	Origin    string    `json:"origin"`
	Started   time.Time `json:"started"`
	Completed time.Time `json:"completed,omitzero"`
}

func (r itemRecord) noticeText() string { return noticeMark(r.Mark, r.LocalPath) }

type failedRevision struct {
	Revision string `json:"revision"`
	// Items that the failure is shown at.
	Items   []itemKey `json:"items"`
	Message string    `json:"message"`
}

// loadRecord reads a record; a missing or unreadable one is empty, which costs
// a repeated check and hook but no data.
func loadRecord(dir, dataset string) (*record, error) {
	r := &record{path: filepath.Join(dir, dataset+recordSuffix)}
	text, err := os.ReadFile(r.path)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if r.Revisions == nil {
		r.Revisions = map[string]revisionRecord{}
	}
	if r.Hooks == nil {
		r.Hooks = map[string]string{}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("reading the record of DataSet %s: %w", dataset, err)
	}
	return r, nil
}

func (r *record) writeFile() error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return atomicfile.Write(r.path, text, 0o600)
}

func (r *record) removeFile() error {
	r.Revisions, r.Hooks, r.Failed = map[string]revisionRecord{}, map[string]string{}, nil
	return atomicfile.Remove(r.path)
}

// keepRevisions drops the revisions that are neither of those named.
func (r *record) keepRevisions(revisions ...string) {
	kept := map[string]revisionRecord{}
	for _, name := range revisions {
		if rev, ok := r.Revisions[name]; ok {
			kept[name] = rev
		}
	}
	r.Revisions = kept
}

// Done reports whether a hook has run; it implements hook.Journal.
func (r *record) Done(id, mark string) bool { return r.Hooks[id] == mark }

// Record implements hook.Journal.
func (r *record) Record(id, mark string) error {
	r.Hooks[id] = mark
	return r.writeFile()
}
