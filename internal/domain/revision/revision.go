// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// AnnotationReached on a revision remembers how far it came, so that a rollout
// still knows it when the pods that prove it are gone. Only its own two values
// have a meaning.
const (
	AnnotationReached = "kuda.io/reached"

	// ReachedAssigned: at least one pod was told to have the revision.
	ReachedAssigned = "Assigned"
	// ReachedDelivered: at least one pod had all of it.
	ReachedDelivered = "Delivered"
)

// AnnotationSelector on a revision is the DataSet's workloadSelector, as JSON,
// when the revision was last its template.
const AnnotationSelector = "kuda.io/selector"

const hashLength = 10

// Template is what the revision holds.
func Template(r *appsv1.ControllerRevision) (v1alpha1.DataTemplateSpec, error) {
	var template v1alpha1.DataTemplateSpec
	if err := json.Unmarshal(r.Data.Raw, &template); err != nil {
		return template, fmt.Errorf("reading the template in ControllerRevision %s: %w", r.Name, err)
	}
	return template, nil
}

// IsOf reports whether a revision is this very DataSet's. The UID alone does not say it:
// a policy keeps others from making a DataSet the owner, by its kind, of what they write.
func IsOf(r *appsv1.ControllerRevision, d metav1.Object) bool {
	owner := metav1.GetControllerOf(r)
	return owner != nil && owner.UID == d.GetUID() && owner.Kind == "DataSet" &&
		strings.HasPrefix(owner.APIVersion, v1alpha1.GroupVersion.Group+"/")
}

// Holds reports whether the revision holds this template. Both are compared in
// the form that is written now, so a revision that an older version of Kuda
// wrote with other spacing or key order is still recognised.
func Holds(r *appsv1.ControllerRevision, template v1alpha1.DataTemplateSpec) bool {
	stored, err := Template(r)
	if err != nil {
		return false
	}
	a, errA := json.Marshal(stored)
	b, errB := json.Marshal(template)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// New builds the revision that holds the DataSet's template as it is now.
// Collision is the number of names that turned out to be taken by other
// objects; it leads to another name.
func New(d *v1alpha1.DataSet, number int64, collision int) (*appsv1.ControllerRevision, error) {
	raw, err := json.Marshal(d.Spec.Template)
	if err != nil {
		return nil, fmt.Errorf("writing the template as JSON: %w", err)
	}
	r := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name:      hashedName(d.Name, raw, collision),
			Namespace: d.Namespace,
			Labels:    map[string]string{v1alpha1.LabelDataSet: d.Name},
		},
		Data:     runtime.RawExtension{Raw: raw},
		Revision: number,
	}
	SetChangeCause(r, d)
	SetChangedBy(r, d)
	SetSelector(r, d)
	return r, nil
}

// SetSelector writes down which pods the DataSet selects while the revision is
// its template, and reports whether that changed anything. The author of a DataSet
// may return to a revision without the rights that its sources and hooks need, but
// not for other pods.
func SetSelector(r *appsv1.ControllerRevision, d *v1alpha1.DataSet) bool {
	// A map of strings can always be written as JSON; its keys are sorted.
	raw, _ := json.Marshal(d.Spec.WorkloadSelector)
	if r.Annotations[AnnotationSelector] == string(raw) {
		return false
	}
	metav1.SetMetaDataAnnotation(&r.ObjectMeta, AnnotationSelector, string(raw))
	return true
}

// Selector returns what SetSelector wrote down; ok is false where it is unknown.
func Selector(r *appsv1.ControllerRevision) (selector map[string]string, ok bool) {
	raw, ok := r.Annotations[AnnotationSelector]
	if !ok || json.Unmarshal([]byte(raw), &selector) != nil {
		return nil, false
	}
	return selector, true
}

func hashedName(dataset string, raw []byte, collision int) string {
	h := sha256.New()
	h.Write(raw)
	if collision > 0 {
		fmt.Fprintf(h, "\n%d", collision)
	}
	return dataset + "-" + hex.EncodeToString(h.Sum(nil))[:hashLength]
}

// SetChangeCause copies the DataSet's change cause to the revision and reports
// whether that changed it. A DataSet without one leaves the revision's.
func SetChangeCause(r *appsv1.ControllerRevision, d *v1alpha1.DataSet) bool {
	cause, ok := d.Annotations[v1alpha1.AnnotationChangeCause]
	if !ok || r.Annotations[v1alpha1.AnnotationChangeCause] == cause {
		return false
	}
	if r.Annotations == nil {
		r.Annotations = make(map[string]string, 1)
	}
	r.Annotations[v1alpha1.AnnotationChangeCause] = cause
	return true
}

// ChangeCause returns the recorded reason of the revision, if there is one.
func ChangeCause(r *appsv1.ControllerRevision) string {
	return r.Annotations[v1alpha1.AnnotationChangeCause]
}

// Find returns the revision among history that holds the DataSet's template,
// or nil. Of several, which only a foreign hand can make, it takes the newest.
func Find(history []*appsv1.ControllerRevision, template v1alpha1.DataTemplateSpec) *appsv1.ControllerRevision {
	var found *appsv1.ControllerRevision
	for _, r := range history {
		if Holds(r, template) && (found == nil || r.Revision > found.Revision) {
			found = r
		}
	}
	return found
}

// Newest returns the highest number in history; 0 when it is empty.
func Newest(history []*appsv1.ControllerRevision) int64 {
	var newest int64
	for _, r := range history {
		newest = max(newest, r.Revision)
	}
	return newest
}

// Superfluous returns which revisions to delete, oldest first, so that at most
// limit remain beside those that are in use.
func Superfluous(history []*appsv1.ControllerRevision, inUse func(name string) bool, limit int) []*appsv1.ControllerRevision {
	var unused []*appsv1.ControllerRevision
	for _, r := range history {
		if !inUse(r.Name) {
			unused = append(unused, r)
		}
	}
	if len(unused) <= limit {
		return nil
	}
	slices.SortFunc(unused, func(a, b *appsv1.ControllerRevision) int {
		if a.Revision != b.Revision {
			return int(min(max(a.Revision-b.Revision, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return unused[:len(unused)-limit]
}

// Reached says how far the revision came: "", ReachedAssigned or ReachedDelivered.
func Reached(r *appsv1.ControllerRevision) string {
	if r == nil {
		return ""
	}
	return r.Annotations[AnnotationReached]
}

// Named returns the revision of that name, or nil.
func Named(history []*appsv1.ControllerRevision, name string) *appsv1.ControllerRevision {
	for _, r := range history {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Numbered returns the revision of that number, or nil. A revision that became
// the newest again has a new number; the DataSet's history still knows its old one.
func Numbered(history []*appsv1.ControllerRevision, d *v1alpha1.DataSet, number int64) *appsv1.ControllerRevision {
	for _, r := range history {
		if r.Revision == number {
			return r
		}
	}
	for _, record := range d.Status.History {
		if record.Number == number {
			return Named(history, record.Revision)
		}
	}
	return nil
}
