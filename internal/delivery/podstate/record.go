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
	"time"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// Record is what must be remembered of one DataSet across restarts.
type Record struct {
	path string

	// Revisions that are in the view, or about to be.
	Revisions map[string]Revision `json:"revisions,omitempty"`
	// Hooks that were done: ID to mark.
	Hooks map[string]string `json:"hooks,omitempty"`
	// Failed is the revision that a failing hook stopped; it is not tried again.
	Failed *FailedRevision `json:"failed,omitempty"`
	// RetryToken is that of the last request to try again that was acted on.
	RetryToken string `json:"retryToken,omitempty"`
	// Preheat: the pod is there to bring the data to the node, and no longer needs
	// it once its runtime has ended.
	Preheat bool `json:"preheat,omitempty"`
}

// Revision has the items of a revision.
type Revision struct {
	Items map[ItemKey]Item `json:"items"`
	// Confirmed: all of its hooks were done.
	Confirmed bool `json:"confirmed,omitempty"`
}

// Item is an item as it was delivered.
type Item struct {
	LocalPath string      `json:"localPath"`
	Version   string      `json:"version"`
	Mark      string      `json:"mark"`
	Way       string      `json:"way,omitempty"`
	Snapshot  snapshot.ID `json:"snapshot"`
	Digest    string      `json:"digest"`
	Bytes     int64       `json:"bytes"`
	Origin    string      `json:"origin"`
	Started   time.Time   `json:"started"`
	Completed time.Time   `json:"completed,omitzero"`
	// Cache is what the source's cache did for it; nil where the source had none, and
	// where another pod downloaded it.
	Cache *CacheUse `json:"cache,omitempty"`
}

// CacheUse is what a cache did for an item.
type CacheUse struct {
	// ServedBytes came from the cache and were proved, SourceBytes came from the source,
	// and RejectedBytes came from the cache and were not what the source promised.
	ServedBytes   int64 `json:"servedBytes"`
	SourceBytes   int64 `json:"sourceBytes"`
	RejectedBytes int64 `json:"rejectedBytes,omitempty"`
	// Reason why bytes that the cache was to serve came from the source, "" if there are
	// no such bytes, and Message the first error of the cache.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// IsOf reports whether an item is of the bytes of a mark that came by a way. A
// record of an older release does not say by which.
func (i Item) IsOf(mark, way string) bool {
	return i.Mark == mark && (i.Way == "" || i.Way == way)
}

// FailedRevision is a revision that was taken back.
type FailedRevision struct {
	Revision string `json:"revision"`
	// Items that the failure is shown at.
	Items   []ItemKey `json:"items"`
	Message string    `json:"message"`
}

// ItemKey names an item within an assignment.
type ItemKey string

// KeyOf returns the key of an item.
func KeyOf(namespace, name string) ItemKey { return ItemKey(namespace + "/" + name) }

// Split returns what KeyOf was given.
func (k ItemKey) Split() (namespace, name string) {
	namespace, name, _ = strings.Cut(string(k), "/")
	return namespace, name
}

// ValidDataSet reports whether a DataSet's name can name a file.
func ValidDataSet(name string) bool {
	return name != "" && name[0] != '.' && len(name) < 200 && !strings.ContainsAny(name, "/\x00")
}

// Record reads what is remembered of a DataSet in the view; a missing or unreadable
// record is empty, which costs a repeated check and hook but no data.
func (d Dir) Record(dataset string) (*Record, error) { return loadRecord(d.path(DatasetsDir), dataset) }

// Prefetched is Record of what was fetched for a later revision.
func (d Dir) Prefetched(dataset string) (*Record, error) {
	return loadRecord(d.path(PrefetchDir), dataset)
}

// ForgetPrefetched removes the records of what was prefetched of all DataSets but those
// to keep.
func (d Dir) ForgetPrefetched(keep func(dataset string) bool) error {
	entries, err := os.ReadDir(d.path(PrefetchDir))
	for _, e := range entries {
		if !keep(strings.TrimSuffix(e.Name(), RecordSuffix)) {
			err = errors.Join(err, atomicfile.Remove(filepath.Join(d.path(PrefetchDir), e.Name())))
		}
	}
	return err
}

func loadRecord(dir, dataset string) (*Record, error) {
	r, err := readRecord(filepath.Join(dir, dataset+RecordSuffix))
	if r.Revisions == nil {
		r.Revisions = map[string]Revision{}
	}
	if r.Hooks == nil {
		r.Hooks = map[string]string{}
	}
	if err != nil {
		return r, fmt.Errorf("reading the record of DataSet %s: %w", dataset, err)
	}
	return r, nil
}

// readRecord reads a record. One that is gone is empty; one that is torn too, with an error.
func readRecord(path string) (*Record, error) {
	r := &Record{path: path}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

// Save writes the record down.
func (r *Record) Save() error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return atomicfile.Write(r.path, text, 0o600)
}

// Clear forgets everything.
func (r *Record) Clear() error {
	r.Revisions, r.Hooks, r.Failed = map[string]Revision{}, map[string]string{}, nil
	return atomicfile.Remove(r.path)
}

// KeepRevisions drops the revisions that are not among those named.
func (r *Record) KeepRevisions(revisions ...string) {
	kept := map[string]Revision{}
	for _, name := range revisions {
		if rev, ok := r.Revisions[name]; ok {
			kept[name] = rev
		}
	}
	r.Revisions = kept
}

// ItemsByMark returns the items of all revisions.
func (r *Record) ItemsByMark() map[string]Item {
	out := map[string]Item{}
	for _, name := range slices.Sorted(maps.Keys(r.Revisions)) {
		for _, item := range r.Revisions[name].Items {
			out[item.Mark] = item
		}
	}
	return out
}

// Snapshots returns those that the revisions are made of.
func (r *Record) Snapshots() map[snapshot.ID]bool {
	ids := map[snapshot.ID]bool{}
	for _, rev := range r.Revisions {
		for _, item := range rev.Items {
			ids[item.Snapshot] = true
		}
	}
	return ids
}

// Done reports whether the hook succeeded with this mark. It implements hook.Journal.
func (r *Record) Done(id, mark string) bool { return r.Hooks[id] == mark }

// Record implements hook.Journal.
func (r *Record) Record(id, mark string) error {
	r.Hooks[id] = mark
	return r.Save()
}
