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
)

// DataSet is what the pod has of one, for programs.
type DataSet struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	Items    []Item `json:"items"`
}

// Item is one of its items.
type Item struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	// Path below the data directory, as are those of Files.
	Path   string `json:"path"`
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`
	Files  []File `json:"files"`
}

// File is one file of it.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Digest string `json:"digest,omitempty"`
	// Mode is the permission bits, such as "0644".
	Mode string `json:"mode,omitempty"`
	// Link is the target of a symbolic link.
	Link string `json:"link,omitempty"`
}

// readDataSets reads what is in the view of the pod whose directory this is.
func readDataSets(ctx context.Context, s *store.Store, dir podstate.Dir) ([]DataSet, error) {
	delivered, err := dir.Delivered()
	if err != nil {
		return nil, err
	}
	out := make([]DataSet, 0, len(delivered))
	for _, d := range delivered {
		set := DataSet{Name: d.DataSet, Revision: d.Revision, Items: make([]Item, 0, len(d.Items))}
		for _, have := range d.Items {
			m, _, err := s.Peek(ctx, have.Snapshot)
			if err != nil {
				return nil, fmt.Errorf("reading item %s/%s of DataSet %s: %w", have.Namespace, have.Name, d.DataSet, err)
			}
			set.Items = append(set.Items, Item{Namespace: have.Namespace, Name: have.Name, Version: have.Version,
				Path: have.Path, Digest: have.Digest, Bytes: have.Bytes, Files: viewFiles(m, have.Path)})
		}
		out = append(out, set)
	}
	return out, nil
}

// viewFiles are those of a snapshot at their place in the view.
func viewFiles(m *snapshot.Manifest, at string) []File {
	out := make([]File, 0, m.Packed.Len())
	for e := range m.All() {
		f := File{Path: viewPath(m.File, at, e.Path), Size: e.Size, Digest: e.Digest, Link: e.Link}
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
