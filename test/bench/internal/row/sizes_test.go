// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"testing"

	"github.com/kuda-io/kuda/test/bench/internal/content"
)

func TestChangeIsOneShardAndTheStatedSmallFiles(t *testing.T) {
	for name, s := range map[string]Sizes{"full": Full(), "quick": Quick()} {
		before := s.update()
		after, changed := s.change(before)
		shards, small := 0, 0
		for _, f := range changed {
			if f.Size == smallBytes {
				small++
			} else {
				shards++
			}
		}
		if shards != 1 || small != s.Changed || len(after) != len(before) {
			t.Errorf("%s: %d shards and %d small files change", name, shards, small)
		}
	}
}

func TestFilesOfATreeHaveDistinctNames(t *testing.T) {
	s := Full()
	for name, tree := range map[string]content.Tree{"small": s.small(), "models": s.models(), "update": s.update()} {
		seen := map[string]bool{}
		for _, f := range tree {
			if seen[f.Path] {
				t.Errorf("%s: %s twice", name, f.Path)
			}
			seen[f.Path] = true
		}
	}
}
