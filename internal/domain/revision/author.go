// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/stamp"
)

// SetChangedBy writes down who made the revision the template. A revision that becomes
// the template again is then its new author's, and without one where that is not known.
func SetChangedBy(r *appsv1.ControllerRevision, d *v1alpha1.DataSet) {
	by := stamp.ChangedBy(d)
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
