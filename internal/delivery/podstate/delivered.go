// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"

	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/all"
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

// ReadDelivered reads, beside a runtime that may run, what is in the view of the
// pod whose directory this is. It changes nothing.
func ReadDelivered(dir string) ([]Delivered, error) {
	current, err := view.ReadCurrent(filepath.Join(dir, ViewDir))
	if err != nil {
		return nil, err
	}
	var out []Delivered
	for name, revision := range current {
		r, err := loadRecord(filepath.Join(dir, datasetsDir), name)
		if err != nil {
			return nil, err
		}
		d := Delivered{DataSet: name, Revision: revision}
		for key, have := range r.Revisions[revision].Items {
			namespace, item, _ := strings.Cut(string(key), "/")
			d.Items = append(d.Items, DeliveredItem{Namespace: namespace, Name: item, Version: have.Version,
				Path: strings.Trim(have.LocalPath, "/"), Snapshot: have.Snapshot, Digest: have.Digest, Bytes: have.Bytes})
		}
		slices.SortFunc(d.Items, func(a, b DeliveredItem) int {
			return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
		})
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Delivered) int { return strings.Compare(a.DataSet, b.DataSet) })
	return out, nil
}

// ReadSources returns the sources that the gateway has told the pod of.
func ReadSources(dir string) ([]*gatewayv1alpha1.Source, error) {
	desired, err := loadDesired(dir)
	if err != nil {
		return nil, err
	}
	var told []*gatewayv1alpha1.Source
	for _, a := range desired.GetAssignments() {
		told = append(append(told, a.GetSources()...), a.GetPrefetch().GetSources()...)
	}
	return told, nil
}

// OpenSource opens a source of the protocol as a delivery does.
func (m Mounts) OpenSource(ctx context.Context, s *gatewayv1alpha1.Source) (source.Driver, error) {
	if s == nil {
		return nil, &source.Error{Op: "finding the item's source", Class: source.ErrMisconfigured}
	}
	c, err := m.sourceConfig(s)
	if err != nil {
		return nil, err
	}
	src, err := all.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("opening source %s: %w", s.GetName(), err)
	}
	return src, nil
}

// Reason is what the API calls an error of a delivery.
func Reason(err error) string { return reasonOf(err) }
