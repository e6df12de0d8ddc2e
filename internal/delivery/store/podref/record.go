// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podref

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/kuda-io/kuda/internal/delivery/store"
)

const suffix = ".json"

// record is what matters here of what a runtime wrote down of a DataSet.
type record struct {
	// Preheat: the pod was there to bring the data to the node.
	Preheat   bool `json:"preheat"`
	Revisions map[string]struct {
		Items map[string]struct {
			Snapshot store.ID `json:"snapshot"`
		} `json:"items"`
	} `json:"revisions"`
}

// readRecord reads a record. One that is gone or torn names nothing: the runtime does
// not remember it either.
func readRecord(file string) (record, error) {
	var r record
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, nil //nolint:nilerr // torn
	}
	return r, nil
}

func (r record) eachSnapshot(yield func(store.ID)) {
	for _, revision := range r.Revisions {
		for _, item := range revision.Items {
			yield(item.Snapshot)
		}
	}
}
