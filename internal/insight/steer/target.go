// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/verdict"
)

// previousRevision returns the revision that undo goes back to: the stable one where
// the present template is another, else the last one before it. Each must have
// succeeded; nil when none did.
func previousRevision(d *v1alpha1.DataSet, revisions []*appsv1.ControllerRevision) *appsv1.ControllerRevision {
	present := ""
	if r := revision.Find(revisions, d.Spec.Template); r != nil {
		present = r.Name
	}
	stable := revision.Named(revisions, d.Status.CurrentRevision)
	if stable != nil && stable.Name != present && verdict.HasSucceeded(d, stable) {
		return stable
	}
	for _, record := range slices.Backward(d.Status.History) {
		r := revision.Named(revisions, record.Revision)
		if r != nil && r.Name != present && verdict.HasSucceeded(d, r) {
			return r
		}
	}
	for _, r := range slices.Backward(revisions) {
		if r.Name != present && verdict.HasSucceeded(d, r) {
			return r
		}
	}
	return nil
}

// TargetRevision is the revision to go back to; number 0 is the one before.
func TargetRevision(d *v1alpha1.DataSet, revisions []*appsv1.ControllerRevision, number int64,
	say Say) (*appsv1.ControllerRevision, error) {
	if number == 0 {
		if r := previousRevision(d, revisions); r != nil {
			return r, nil
		}
		return nil, refuse(NothingToGoBackTo, "there is nothing to go back to: no other revision of DataSet %s "+
			"has succeeded; see %s, and name one by --to-revision", d.Name, say(VerbHistory))
	}
	r := revision.Numbered(revisions, d, number)
	switch {
	case r == nil && len(revisions) == 0:
		return nil, refuse(NoSuchRevision, "DataSet %s has no revisions yet", d.Name)
	case r == nil:
		return nil, refuse(NoSuchRevision, "DataSet %s has no revision %d (any more); there are %s: see %s",
			d.Name, number, listNumbers(revisions), say(VerbHistory))
	case revision.Holds(r, d.Spec.Template):
		return nil, refuse(SameRevision, "the template of DataSet %s is that of revision %d already", d.Name, number)
	}
	return r, nil
}

func listNumbers(revisions []*appsv1.ControllerRevision) string {
	words := make([]string, 0, len(revisions))
	for _, r := range revisions {
		words = append(words, fmt.Sprint(r.Revision))
	}
	return strings.Join(words, ", ")
}

// DescribeChanges says in lines what a new template changes, items first.
func DescribeChanges(from, to v1alpha1.DataTemplateSpec) []string {
	var lines []string
	for _, b := range to.DataItems {
		a := findItem(from.DataItems, b)
		switch {
		case a == nil:
			lines = append(lines, fmt.Sprintf("item %s is added (version %s)", itemName(b), b.Version))
		case a.Version != b.Version:
			lines = append(lines, fmt.Sprintf("item %s: version %s → %s", itemName(b), a.Version, b.Version))
		case !equality.Semantic.DeepEqual(*a, b):
			lines = append(lines, fmt.Sprintf("item %s changes", itemName(b)))
		}
	}
	for _, a := range from.DataItems {
		if findItem(to.DataItems, a) == nil {
			lines = append(lines, fmt.Sprintf("item %s is removed", itemName(a)))
		}
	}
	if !equality.Semantic.DeepEqual(from.DataSources, to.DataSources) {
		lines = append(lines, "dataSources change")
	}
	if !equality.Semantic.DeepEqual(from.Lifecycle, to.Lifecycle) {
		lines = append(lines, "lifecycle changes")
	}
	return lines
}

func findItem(items []v1alpha1.DataItem, like v1alpha1.DataItem) *v1alpha1.DataItem {
	for i := range items {
		if items[i].Namespace == like.Namespace && items[i].Name == like.Name {
			return &items[i]
		}
	}
	return nil
}

func itemName(i v1alpha1.DataItem) string { return i.Namespace + "/" + i.Name }
