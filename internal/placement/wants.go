// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/content"
	"github.com/kuda-io/kuda/internal/controller/revision"
	"github.com/kuda-io/kuda/internal/gateway/wire"
	"github.com/kuda-io/kuda/internal/locality"
)

// Revision names the ControllerRevision that new pods of a DataSet get, or is ""
// where that is the template as it is in the spec: they get the stable revision
// while another is rolled out, and at once the new one with OnDelete.
func Revision(d *v1alpha1.DataSet) string {
	s := &d.Status
	switch {
	case s.CurrentRevision == "", d.Spec.UpdateStrategy.Type == v1alpha1.OnDeleteStrategyType && !d.Spec.Paused:
		return ""
	case s.ObservedGeneration == d.Generation && s.CurrentRevision == s.UpdateRevision:
		return ""
	}
	return s.CurrentRevision
}

// Template is what new pods of a DataSet get. A revision that is gone counts as
// the template in the spec.
func Template(ctx context.Context, reader client.Reader, d *v1alpha1.DataSet) (v1alpha1.DataTemplateSpec, error) {
	name := Revision(d)
	if name == "" {
		return d.Spec.Template, nil
	}
	var r appsv1.ControllerRevision
	err := reader.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: name}, &r)
	if client.IgnoreNotFound(err) != nil {
		return v1alpha1.DataTemplateSpec{}, fmt.Errorf("reading revision %s: %w", name, err)
	}
	if err != nil {
		return d.Spec.Template, nil
	}
	return revision.Template(&r)
}

// Wants are the items of a DataSet's template.
func Wants(d *v1alpha1.DataSet, template v1alpha1.DataTemplateSpec) []locality.Want {
	wants := make([]locality.Want, 0, len(template.DataItems))
	for i, mark := range Marks(template) {
		item := &template.DataItems[i]
		wants = append(wants, locality.Want{
			Mark: mark, DataSet: d.Name, Item: item.Namespace + "/" + item.Name, Version: item.Version,
			Required: d.Spec.Placement == v1alpha1.PlacementRequire,
		})
	}
	return wants
}

// Marks are those of a template's items, in their order.
func Marks(template v1alpha1.DataTemplateSpec) []string {
	items, sources := wire.Contents(template.DataItems, &template.DataSources)
	marks := make([]string, 0, len(items))
	for _, item := range items {
		marks = append(marks, content.Mark(item, wire.SourceOf(item, sources)))
	}
	return marks
}

// Of is what a pod wants that these DataSets select, but for those whose
// placement is Ignore.
func Of(ctx context.Context, reader client.Reader, dataSets []*v1alpha1.DataSet) ([]locality.Want, error) {
	var wants []locality.Want
	for _, d := range dataSets {
		if d.Spec.Placement == v1alpha1.PlacementIgnore {
			continue
		}
		template, err := Template(ctx, reader, d)
		if err != nil {
			return nil, err
		}
		wants = append(wants, Wants(d, template)...)
	}
	return wants, nil
}
