// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/inspection"
)

// readDataSets reads what is in the view of the pod whose directory this is.
func readDataSets(ctx context.Context, s *store.Store, dir podstate.Dir) ([]inspection.DataSet, error) {
	delivered, err := dir.Delivered()
	if err != nil {
		return nil, err
	}
	out := make([]inspection.DataSet, 0, len(delivered))
	for _, d := range delivered {
		set := inspection.DataSet{Name: d.DataSet, Revision: d.Revision, Items: make([]inspection.Item, 0, len(d.Items))}
		for _, have := range d.Items {
			m, _, err := s.Peek(ctx, have.Snapshot)
			if err != nil {
				return nil, fmt.Errorf("reading item %s/%s of DataSet %s: %w", have.Namespace, have.Name, d.DataSet, err)
			}
			set.Items = append(set.Items, inspection.Item{Namespace: have.Namespace, Name: have.Name, Version: have.Version,
				Path: have.Path, Digest: have.Digest, Bytes: have.Bytes, Files: viewFiles(m, have.Path)})
		}
		out = append(out, set)
	}
	return out, nil
}

// viewFiles are those of a snapshot at their place in the view.
func viewFiles(m *snapshot.Manifest, at string) []inspection.File {
	out := make([]inspection.File, 0, m.Packed.Len())
	for e := range m.All() {
		f := inspection.File{Path: viewPath(m.File, at, e.Path), Size: e.Size, Digest: e.Digest, Link: e.Link}
		if e.Link == "" {
			f.Mode = formatMode(e.Mode)
		}
		out = append(out, f)
	}
	return out
}

func formatMode(m fs.FileMode) string { return fmt.Sprintf("%04o", m.Perm()) }

// viewPath is where a file of an item is in the view.
func viewPath(single bool, at, name string) string {
	if single {
		return at
	}
	return path.Join(at, name)
}
