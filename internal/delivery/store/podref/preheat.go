// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podref

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/store"
)

// PreheatDir is below the store's root. It has a file for each DataSet that is
// preheated, "<name>.json".
const PreheatDir = "preheat"

// Wanted returns the snapshots that are preheated. It is for store.Options.
func (p *Pods) Wanted() (map[store.ID]bool, error) {
	preheats, err := p.Preheats()
	if err != nil {
		return nil, err
	}
	wanted := make(map[store.ID]bool, len(preheats))
	for id := range preheats {
		wanted[id] = true
	}
	return wanted, nil
}

// Preheats returns the names of the DataSets that a snapshot is preheated for.
func (p *Pods) Preheats() (map[store.ID][]string, error) {
	files, err := filepath.Glob(filepath.Join(p.preheat, "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("looking for what is preheated: %w", err)
	}
	preheats := map[store.ID][]string{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), suffix)
		r, err := readRecord(file)
		if err != nil {
			return nil, fmt.Errorf("reading what is preheated for %s: %w", name, err)
		}
		r.eachSnapshot(func(id store.ID) {
			if !slices.Contains(preheats[id], name) {
				preheats[id] = append(preheats[id], name)
			}
		})
	}
	return preheats, nil
}
