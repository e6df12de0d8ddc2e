// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
)

// Pair is two templates to compare, of one DataSet.
type Pair struct {
	Namespace, Name  string
	Selector         map[string]string
	FromName, ToName string
	// From is nil where there was nothing.
	From, To *v1alpha1.DataTemplateSpec
	// Spec is what differs outside of the template.
	Spec []Change
}

// Revisions returns the templates of two revisions, by number or name, as ChooseRevisions
// finds them.
func Revisions(d *v1alpha1.DataSet, history []*appsv1.ControllerRevision, fromName, toName string) (Pair, error) {
	from, to, err := ChooseRevisions(d, history, fromName, toName)
	if err != nil {
		return Pair{}, err
	}
	p := Pair{Namespace: d.Namespace, Name: d.Name, Selector: d.Spec.WorkloadSelector, FromName: revisionTitle(from),
		ToName: revisionTitle(to)}
	if p.From, err = revisionTemplate(from); err != nil {
		return Pair{}, err
	}
	p.To, err = revisionTemplate(to)
	return p, err
}

func revisionTitle(r *appsv1.ControllerRevision) string {
	return fmt.Sprintf("%s (revision %d)", r.Name, r.Revision)
}

func revisionTemplate(r *appsv1.ControllerRevision) (*v1alpha1.DataTemplateSpec, error) {
	t, err := revision.Template(r)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// ChooseRevisions returns the revisions to compare. Without names they are the stable one
// and the one that is rolled out; where these are one, or only the second is
// named, the first is the one before the second.
func ChooseRevisions(d *v1alpha1.DataSet, history []*appsv1.ControllerRevision,
	fromName, toName string) (from, to *appsv1.ControllerRevision, err error) {
	if len(history) == 0 {
		return nil, nil, fmt.Errorf("DataSet %s has no revision yet; is kuda-manager running? See: kubectl kuda doctor", d.Name)
	}
	if toName == "" {
		toName = d.Status.UpdateRevision
	}
	if to, err = findRevision(history, toName); err != nil {
		return nil, nil, err
	}
	if fromName == "" && toName == d.Status.UpdateRevision && d.Status.CurrentRevision != toName {
		fromName = d.Status.CurrentRevision
	}
	if fromName != "" {
		from, err = findRevision(history, fromName)
		return from, to, err
	}
	for _, r := range history {
		if r.Revision < to.Revision && (from == nil || r.Revision > from.Revision) {
			from = r
		}
	}
	if from == nil {
		return to, to, nil // the first revision has none before it
	}
	return from, to, nil
}

// findRevision returns the revision of a number or a name.
func findRevision(history []*appsv1.ControllerRevision, name string) (*appsv1.ControllerRevision, error) {
	number, err := strconv.ParseInt(name, 10, 64)
	byNumber := err == nil
	i := slices.IndexFunc(history, func(r *appsv1.ControllerRevision) bool {
		return r.Name == name || byNumber && r.Revision == number
	})
	if i < 0 {
		return nil, fmt.Errorf("there is no revision %q; those that are kept are listed by: kubectl kuda history", name)
	}
	return history[i], nil
}
