// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/view"
)

// Delivered is a DataSet as it is in a pod's view.
type Delivered struct {
	DataSet, Revision string
	Items             []DeliveredItem
}

// DeliveredItem is an item of it.
type DeliveredItem struct {
	Namespace, Name, Version string
	// Path below the view.
	Path     string
	Snapshot snapshot.ID
	Digest   string
	Bytes    int64
}

// Delivered reads, beside a runtime that may run, what is in the pod's view. It
// changes nothing.
func (d Dir) Delivered() ([]Delivered, error) {
	current, err := view.ReadCurrent(d.View())
	if err != nil {
		return nil, err
	}
	var out []Delivered
	for name, revision := range current {
		r, err := d.Record(name)
		if err != nil {
			return nil, err
		}
		set := Delivered{DataSet: name, Revision: revision}
		for key, have := range r.Revisions[revision].Items {
			namespace, item := key.Split()
			set.Items = append(set.Items, DeliveredItem{Namespace: namespace, Name: item, Version: have.Version,
				Path: strings.Trim(have.LocalPath, "/"), Snapshot: have.Snapshot, Digest: have.Digest, Bytes: have.Bytes})
		}
		slices.SortFunc(set.Items, func(a, b DeliveredItem) int {
			return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
		})
		out = append(out, set)
	}
	slices.SortFunc(out, func(a, b Delivered) int { return strings.Compare(a.DataSet, b.DataSet) })
	return out, nil
}
