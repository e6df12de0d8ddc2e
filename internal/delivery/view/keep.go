// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"context"
	"fmt"
)

// Keep builds the tree of a revision that may be asked for later, so that
// Prepare finds it. It takes no place that another DataSet may want, and copies
// no file that cannot be linked. What is kept stays until another revision of
// the DataSet is kept, or until Unkeep.
func (v *View) Keep(ctx context.Context, dataset, revision string, items []Item) error {
	if err := v.prepareTree(ctx, dataset, revision, items, true); err != nil {
		return fmt.Errorf("building DataSet %s, revision %s, for later: %w", dataset, revision, err)
	}
	return nil
}

// Unkeep lets go of what Keep built, if it is not in use.
func (v *View) Unkeep(dataset string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.sets[dataset]; s != nil {
		v.markTree(s, 0, true)
	}
}
