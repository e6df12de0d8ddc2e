// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// emptyItems are shared by all Data whose items only have to be counted.
var emptyItems = make([]v1alpha1.DataItem, 64)

// trimObject removes what views do not show: of ten thousand Data that is most. What many
// Data say alike is kept once.
func trimObject(object any) (any, error) {
	if o, ok := object.(client.Object); ok {
		o.SetManagedFields(nil)
	}
	if d, ok := object.(*v1alpha1.Data); ok {
		trimData(d)
	}
	return object, nil
}

func trimData(d *v1alpha1.Data) {
	d.TypeMeta = metav1.TypeMeta{}
	d.ObjectMeta = metav1.ObjectMeta{Namespace: intern(d.Namespace), Name: d.Name, UID: d.UID, ResourceVersion: d.ResourceVersion,
		DeletionTimestamp: d.DeletionTimestamp, Labels: neededLabels(d)}
	s := &d.Spec
	s.DataSources, s.Lifecycle, s.RetryToken = v1alpha1.DataSources{}, nil, nil
	s.Revision, s.PrefetchRevision = intern(s.Revision), intern(s.PrefetchRevision)
	if d.Status.Failed == 0 && len(s.DataItems) <= len(emptyItems) {
		s.DataItems = emptyItems[:len(s.DataItems):len(s.DataItems)]
	}
	d.Status.ObservedRevision, d.Status.CurrentRevision = intern(d.Status.ObservedRevision), intern(d.Status.CurrentRevision)
	d.Status.NodeName = intern(d.Status.NodeName)
	for i := range d.Status.DataItemsStatus {
		trimItem(&d.Status.DataItemsStatus[i])
	}
	d.Status.Conditions = slices.DeleteFunc(d.Status.Conditions, func(c metav1.Condition) bool { return c.Type != v1alpha1.ConditionReady })
	for i := range d.Status.Conditions {
		c := &d.Status.Conditions[i]
		c.Type, c.Reason, c.Message = intern(c.Type), intern(c.Reason), intern(c.Message)
		c.Status = metav1.ConditionStatus(intern(string(c.Status)))
	}
}

func trimItem(s *v1alpha1.DataItemStatus) {
	s.Digest, s.StartTime = "", nil
	s.Namespace, s.Name, s.Version, s.Reason = intern(s.Namespace), intern(s.Name), intern(s.Version), intern(s.Reason)
	s.Phase, s.Origin = v1alpha1.DataPhase(intern(string(s.Phase))), v1alpha1.DataOrigin(intern(string(s.Origin)))
	if s.Cache != nil {
		s.Cache.FallbackReason = intern(s.Cache.FallbackReason)
	}
}

// neededLabels returns the label that names the pod of a Data that does not say it otherwise.
func neededLabels(d *v1alpha1.Data) map[string]string {
	if d.Spec.PodName != "" {
		return nil
	}
	return map[string]string{v1alpha1.LabelPod: d.Labels[v1alpha1.LabelPod]}
}

func intern(s string) string { return unique.Make(s).Value() }
