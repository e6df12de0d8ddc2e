// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/convert"
	"github.com/kuda-io/kuda/internal/domain/item"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Revision names the ControllerRevision that new pods of a DataSet get, or is ""
// where that is the template as it is in the spec: they get the stable revision
// while another is rolled out, and at once the new one with OnDelete.
func Revision(d *v1alpha1.DataSet) string {
	s := &d.Status
	switch {
	case s.CurrentRevision == "":
		return ""
	case d.Spec.UpdateStrategy.Type == v1alpha1.OnDeleteStrategyType && !d.Spec.Paused && !givenUp(d):
		return ""
	case s.ObservedGeneration == d.Generation && s.CurrentRevision == s.UpdateRevision:
		return ""
	}
	return s.CurrentRevision
}

// givenUp reports whether the rollout of the template as it is was stopped, or is
// taken back.
func givenUp(d *v1alpha1.DataSet) bool {
	r := d.Status.Rollout
	if r == nil || d.Status.ObservedGeneration != d.Generation || r.Revision != d.Status.UpdateRevision {
		return false
	}
	switch r.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		return true
	}
	return false
}

// Template is what new pods of a DataSet get. A revision that is gone counts as
// the template in the spec.
func Template(ctx context.Context, reader client.Reader, d *v1alpha1.DataSet) (v1alpha1.DataTemplateSpec, error) {
	template, _, err := readTemplate(ctx, reader, d, Revision(d))
	return template, err
}

// readTemplate returns also whether that is the revision; "" is the template in the spec.
func readTemplate(ctx context.Context, reader client.Reader, d *v1alpha1.DataSet, name string) (v1alpha1.DataTemplateSpec, bool, error) {
	if name == "" {
		return d.Spec.Template, true, nil
	}
	var r appsv1.ControllerRevision
	err := reader.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: name}, &r)
	switch {
	case apierrors.IsNotFound(err):
		return d.Spec.Template, false, nil
	case err != nil:
		return v1alpha1.DataTemplateSpec{}, false, fmt.Errorf("reading revision %s: %w", name, err)
	}
	template, err := revision.Template(&r)
	return template, true, err
}

// Wants are the items of a DataSet's template.
func Wants(d *v1alpha1.DataSet, template v1alpha1.DataTemplateSpec) []index.Want {
	wants := make([]index.Want, 0, len(template.DataItems))
	for i, mark := range Marks(template) {
		item := &template.DataItems[i]
		wants = append(wants, index.Want{
			Mark: mark, DataSet: d.Name, Item: item.Namespace + "/" + item.Name, Version: item.Version,
			Required: d.Spec.Placement == v1alpha1.PlacementRequire,
		})
	}
	return wants
}

// Marks are those of a template's items, in their order.
func Marks(template v1alpha1.DataTemplateSpec) []string {
	items, sources := convert.Contents(template.DataItems, &template.DataSources)
	marks := make([]string, 0, len(items))
	for _, i := range items {
		marks = append(marks, item.Mark(i, convert.SourceOf(i, sources)))
	}
	return marks
}

// Of is what a pod wants that these DataSets select, but for those whose
// placement is Ignore.
func Of(ctx context.Context, reader client.Reader, dataSets []*v1alpha1.DataSet) ([]index.Want, error) {
	return gatherWants(dataSets, func(d *v1alpha1.DataSet) ([]index.Want, error) {
		template, err := Template(ctx, reader, d)
		if err != nil {
			return nil, err
		}
		return Wants(d, template), nil
	})
}

func gatherWants(dataSets []*v1alpha1.DataSet, of func(*v1alpha1.DataSet) ([]index.Want, error)) ([]index.Want, error) {
	var wants []index.Want
	for _, d := range dataSets {
		if d.Spec.Placement == v1alpha1.PlacementIgnore {
			continue
		}
		w, err := of(d)
		if err != nil {
			return nil, err
		}
		wants = append(wants, w...)
	}
	return wants, nil
}
