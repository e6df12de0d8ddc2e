// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"path"
	"strings"
)

// Check compares the current tree of a DataSet with its items, by name and
// size, and says what is missing. It reads no file's bytes.
func (v *View) Check(dataset string, items []Item) error {
	if err := checkDataSet(dataset); err != nil {
		return err
	}
	base := path.Join(controlDir, dataset)
	for _, item := range items {
		local, err := cleanLocal(item.LocalPath)
		if err != nil {
			return err
		}
		for _, f := range item.Files {
			p := path.Join(base, local)
			if !item.Single {
				p = path.Join(p, f.Path)
			}
			info, err := v.root.Lstat(p)
			if err != nil {
				return fmt.Errorf("checking %s: %w", strings.TrimPrefix(p, base+"/"), err)
			}
			if f.Link == "" && (!info.Mode().IsRegular() || info.Size() != f.Size) {
				return fmt.Errorf("checking %s: has %d bytes instead of %d", strings.TrimPrefix(p, base+"/"), info.Size(), f.Size)
			}
		}
	}
	return nil
}

// Suspect makes sure that no tree of the DataSet that is on disk now is used
// again by Prepare, because Check found one damaged.
func (v *View) Suspect(dataset string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.sets[dataset]; s != nil {
		for _, t := range s.trees {
			for i := range t.Items {
				t.Items[i].Mark = ""
			}
		}
	}
}
