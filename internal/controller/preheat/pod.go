// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"crypto/sha256"
	"encoding/hex"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "kuda"

	nameHashLength = 12
	// gracePeriod is what the runtime has to end in; what it downloaded is kept
	// however it ends.
	gracePeriod = 5
	// user runs the container that says that the data is there.
	user = 65532
)

// PodName is the name of the pod that brings a revision to a node. Each has its
// own, so that a pod cannot be made twice.
func PodName(dataSet string, uid types.UID, node, revision string) string {
	sum := sha256.Sum256([]byte(string(uid) + "\n" + node + "\n" + revision))
	return dataSet + "-preheat-" + hex.EncodeToString(sum[:])[:nameHashLength]
}

// newPod is the pod that brings a revision to a node. The runtime that the
// webhook puts into it holds its container back until the data is there; the
// container then ends at once, and the pod with it.
func newPod(d *v1alpha1.DataSet, node, revision string) *corev1.Pod {
	kind := v1alpha1.GroupVersion.WithKind("DataSet")
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      PodName(d.Name, d.UID, node, revision),
			Namespace: d.Namespace,
			Labels:    map[string]string{v1alpha1.LabelPreheat: d.Name, labelManagedBy: managedBy},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Name: d.Name, UID: d.UID,
				Controller: new(true), BlockOwnerDeletion: new(false),
			}},
		},
		Spec: corev1.PodSpec{
			// Not nodeName: the scheduler is to see whether there is room.
			Affinity:                      &corev1.Affinity{NodeAffinity: podstate.OnNode(node)},
			RestartPolicy:                 corev1.RestartPolicyOnFailure,
			ServiceAccountName:            "default", // for the runtime's token, which is good for the gateway alone
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
			TerminationGracePeriodSeconds: new(int64(gracePeriod)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(user)), RunAsGroup: new(int64(user)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: sidecar.PreheatContainer,
				// The webhook knows the installation's image and puts it here.
				Image:   sidecar.PreheatImage,
				Command: []string{"/kuda-runtime", "version"},
				// No limit of CPU: the runtime would get one too.
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
					Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
				},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// newPods are the pods that a plan makes.
func newPods(d *v1alpha1.DataSet, plan Plan) []*corev1.Pod {
	revision := plan.State.Revision
	pods := make([]*corev1.Pod, 0, len(plan.Create)+1)
	if plan.Fill != "" {
		filler := newPod(d, plan.Fill, revision)
		filler.Name = FillerName(d.Name, d.UID, plan.Fill, revision)
		pods = append(pods, filler)
	}
	for _, node := range plan.Create {
		pods = append(pods, newPod(d, node, revision))
	}
	return pods
}

// withoutHooks is what a node is to have of a template: the data. Hooks are for
// applications, and there is none.
func withoutHooks(t v1alpha1.DataTemplateSpec) v1alpha1.DataTemplateSpec {
	t = *t.DeepCopy()
	t.Lifecycle = nil
	for i := range t.DataItems {
		t.DataItems[i].Lifecycle, t.DataItems[i].Container = nil, ""
	}
	return t
}
