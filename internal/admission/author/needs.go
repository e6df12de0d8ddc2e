// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Change is what an author makes of a DataSet.
type Change struct {
	// Old is the DataSet before the change; nil when it is created.
	Old *v1alpha1.DataSet
	// New is the DataSet after it.
	New *v1alpha1.DataSet
	// Stored are the revisions of the DataSet: what they use has been checked
	// before, for the pods that were selected then.
	Stored []Stored
}

// Stored is a revision's template, and what selected its pods.
type Stored struct {
	Selector map[string]string
	Template v1alpha1.DataTemplateSpec
	// Given says that pods may be given it whatever the DataSet's template is: new
	// ones while a rollout runs or is paused, others when it is taken back.
	Given bool
}

// Need is a right that the author of a change must have.
type Need struct {
	Right Right
	// Fields are those that make use of it, in the order of the spec.
	Fields []string
}

// Needs returns the rights that a change needs of its author, each once: those of
// everything that the DataSet before the change and its stored revisions do not
// use in the same way. It is empty for a change that uses nothing new.
func Needs(change Change) []Need {
	var needs []Need
	for _, u := range newUses(change) {
		at := slices.IndexFunc(needs, func(n Need) bool { return n.Right == u.right })
		if at < 0 {
			needs = append(needs, Need{Right: u.right})
			at = len(needs) - 1
		}
		if name := u.field.String(); !slices.Contains(needs[at].Fields, name) {
			needs[at].Fields = append(needs[at].Fields, name)
		}
	}
	slices.SortStableFunc(needs, func(a, b Need) int { return strings.Compare(a.Fields[0], b.Fields[0]) })
	return needs
}

// Audience is one for which a DataSet wants tokens.
type Audience struct {
	Field *field.Path
	Name  string
}

// Audiences returns those of tokens that a change uses newly. Whether a token may
// be made for them is no question of the author's rights.
func Audiences(change Change) []Audience {
	var audiences []Audience
	for _, u := range newUses(change) {
		if u.right == createTokens && u.audience != "" {
			audiences = append(audiences, Audience{Field: u.field.Child("audience"), Name: u.audience})
		}
	}
	return audiences
}

// SelectsOthers reports whether the change may have pods selected that were not. They
// may be given what the template was before.
func SelectsOthers(change Change) bool {
	return change.Old != nil && !selectorCovers(change.Old.Spec.WorkloadSelector, change.New.Spec.WorkloadSelector)
}

// usesOfChange are those of the DataSet after the change, and those of earlier
// templates that pods which come to be selected may be given.
func usesOfChange(change Change) []use {
	all := usesOf(&change.New.Spec)
	if !SelectsOthers(change) {
		return all
	}
	earlier := usesOfTemplate(&change.Old.Spec.Template)
	for i := range change.Stored {
		if s := &change.Stored[i]; s.Given {
			earlier = append(earlier, usesOfTemplate(&s.Template)...)
		}
	}
	for _, u := range earlier {
		// Tokens are made by the template alone.
		u.field, u.audience = field.NewPath("spec", "workloadSelector"), ""
		all = append(all, u)
	}
	return all
}

// newUses returns the uses that were not there before. What was there for some pods
// counts for no others: a selector that may select more makes everything new, also
// what pods may still be given of before.
func newUses(change Change) []use {
	known := map[string]bool{}
	selector := change.New.Spec.WorkloadSelector
	if old := change.Old; old != nil && selectorCovers(old.Spec.WorkloadSelector, selector) {
		for _, u := range usesOf(&old.Spec) {
			known[u.mapKey()] = true
		}
	}
	for i := range change.Stored {
		s := &change.Stored[i]
		if !selectorCovers(s.Selector, selector) {
			continue
		}
		for _, u := range usesOfTemplate(&s.Template) {
			known[u.mapKey()] = true
		}
	}
	var found []use
	for _, u := range usesOfChange(change) {
		// Of a source that is new as a whole, the items need no mention.
		part := u.within != "" && !known[u.within]
		if !known[u.mapKey()] && !part {
			found = append(found, u)
		}
	}
	return found
}

// selectorCovers reports whether every pod that the second selector selects is selected
// by the first. An empty selector selects no pod.
func selectorCovers(first, second map[string]string) bool {
	if len(first) == 0 {
		return false
	}
	for key, value := range first {
		if have, ok := second[key]; !ok || have != value {
			return false
		}
	}
	return true
}
