// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/attendance"
	"github.com/kuda-io/kuda/internal/inject"
)

// newScheme knows the groups of what the manager reads and writes.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, authenticationv1.AddToScheme, coordinationv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// cacheOptions bound the manager's memory: of pods it keeps what package pod
// needs, of ControllerRevisions only Kuda's own, of nodes what placement and
// grouping look at, of namespaces that they exist and whether they are opted out, of
// Leases those of the gateway in its namespace.
func cacheOptions(dataPath func() string, namespace string) (cache.Options, error) {
	own, err := labels.NewRequirement(v1alpha1.LabelDataSet, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, fmt.Errorf("selecting Kuda's ControllerRevisions: %w", err)
	}
	o := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                {Transform: inject.Stripper(dataPath)},
			&appsv1.ControllerRevision{}: {Label: labels.NewSelector().Add(*own)},
			&corev1.Node{}:               {Transform: stripNode},
			&corev1.Namespace{}:          {Transform: stripNamespace},
		},
	}
	if namespace != "" {
		o.ByObject[&coordinationv1.Lease{}] = cache.ByObject{
			Namespaces: map[string]cache.Config{namespace: {LabelSelector: attendance.Selector()}}}
	}
	return o, nil
}

// stripNode leaves of a node its labels, whether pods can be scheduled to it,
// whether it is Ready and since when, and which boot it is in. The times at which
// a kubelet says so again, and the images of the node, are most of the rest.
func stripNode(object any) (any, error) {
	n, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	stripped := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, Labels: n.Labels,
			CreationTimestamp: n.CreationTimestamp, DeletionTimestamp: n.DeletionTimestamp,
		},
		Spec:   corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable, Taints: n.Spec.Taints},
		Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{BootID: n.Status.NodeInfo.BootID}},
	}
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == corev1.NodeReady {
			stripped.Status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime}}
		}
	}
	return stripped, nil
}

func stripNamespace(object any) (any, error) {
	n, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	stripped := &metav1.PartialObjectMetadata{
		TypeMeta: n.TypeMeta, ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion},
	}
	if value, ok := n.Labels[v1alpha1.LabelInjection]; ok {
		stripped.Labels = map[string]string{v1alpha1.LabelInjection: value}
	}
	return stripped, nil
}
