// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"maps"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/stamp"
)

func TestAUserIsBelievedOnlyForWhatTheWebhookSaw(t *testing.T) {
	seen := map[string]string{
		v1alpha1.AnnotationChangedBy: "alice", v1alpha1.AnnotationChangedGeneration: "3",
		v1alpha1.AnnotationRequestedBy: "bob\n", v1alpha1.AnnotationRequestedFor: "abort r2 1", v1alpha1.AnnotationRolloutRequest: "abort r2 1",
	}
	for name, c := range map[string]struct {
		change            func(*v1alpha1.DataSet)
		author, requester string
	}{
		"as it saw them":     {func(*v1alpha1.DataSet) {}, "alice", "bob"},
		"another generation": {func(d *v1alpha1.DataSet) { d.Generation = 4 }, "", "bob"},
		"no generation": {func(d *v1alpha1.DataSet) { delete(d.Annotations, v1alpha1.AnnotationChangedGeneration) },
			"", "bob"},
		"another request": {func(d *v1alpha1.DataSet) { d.Annotations[v1alpha1.AnnotationRolloutRequest] = "retry r2 2" },
			"alice", ""},
		"nothing": {func(d *v1alpha1.DataSet) { d.Annotations = nil }, "", ""},
	} {
		d := dataSet("models", "v1")
		d.Generation, d.Annotations = 3, maps.Clone(seen)
		c.change(d)
		if author, requester := stamp.ChangedBy(d), stamp.RequestedBy(d); author != c.author || requester != c.requester {
			t.Errorf("%s: author %q, requester %q; want %q, %q", name, author, requester, c.author, c.requester)
		}
		r := &appsv1.ControllerRevision{}
		r.Annotations = map[string]string{v1alpha1.AnnotationChangedBy: "who made it before"}
		if SetChangedBy(r, d); ChangedBy(r) != c.author {
			t.Errorf("%s: the revision is of %q, want %q", name, ChangedBy(r), c.author)
		}
	}
}
