// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
)

// maxUserName is the API's limit of a user's name in the history.
const maxUserName = 512

// Author returns the user who changed the DataSet's spec last; empty where that is not
// known, because the webhook did not see the change.
func Author(d *v1alpha1.DataSet) string {
	if d.Annotations[v1alpha1.AnnotationChangedGeneration] != strconv.FormatInt(d.Generation, 10) {
		return ""
	}
	return sanitize.Line(d.Annotations[v1alpha1.AnnotationChangedBy], maxUserName)
}

// Requester returns the user who set the request that the DataSet has now; empty where
// that is not known.
func Requester(d *v1alpha1.DataSet) string {
	if d.Annotations[v1alpha1.AnnotationRequestedFor] != d.Annotations[v1alpha1.AnnotationRolloutRequest] {
		return ""
	}
	return sanitize.Line(d.Annotations[v1alpha1.AnnotationRequestedBy], maxUserName)
}

// SetChangedBy writes down who made the revision the template. A revision that becomes
// the template again is then its new author's, and without one where that is not known.
func SetChangedBy(r *appsv1.ControllerRevision, d *v1alpha1.DataSet) {
	by := Author(d)
	if by == "" {
		delete(r.Annotations, v1alpha1.AnnotationChangedBy)
		return
	}
	metav1.SetMetaDataAnnotation(&r.ObjectMeta, v1alpha1.AnnotationChangedBy, by)
}

// ChangedBy returns what SetChangedBy wrote down.
func ChangedBy(r *appsv1.ControllerRevision) string {
	return r.Annotations[v1alpha1.AnnotationChangedBy]
}
