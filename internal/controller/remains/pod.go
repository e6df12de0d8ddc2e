// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// Namespace is where the pods are; its policy admits hostPath, and from the
	// manager nothing but them.
	Namespace = "kuda-node"
	// account is theirs; it has no rights, and may carry pull secrets.
	account = "kuda-node"

	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "kuda"
	// annotationTask is what the pod is to do.
	annotationTask = "kuda.io/task"

	// deadline of a pod: what it removed until then stays removed.
	deadline = 10 * time.Minute

	nameHashLength = 12
	volumeStores   = "stores"
)

// podName is the name of a node's pod. Each node has one, so that no two work on it.
func podName(node string) string {
	sum := sha256.Sum256([]byte(node))
	return "remains-" + hex.EncodeToString(sum[:])[:nameHashLength]
}

// newPod is the pod that does a task on the NodeStore's node. It goes with the NodeStore.
func (r *Reconciler) newPod(s *v1alpha1.NodeStore, t task) *corev1.Pod {
	kind := v1alpha1.GroupVersion.WithKind("NodeStore")
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: podName(s.Name), Namespace: Namespace,
			Labels:      map[string]string{labelManagedBy: managedBy},
			Annotations: map[string]string{annotationTask: t.String()},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Name: s.Name, UID: s.UID,
				Controller: new(true), BlockOwnerDeletion: new(false),
			}},
		},
		Spec: corev1.PodSpec{
			Affinity: &corev1.Affinity{NodeAffinity: podstate.OnNode(s.Name)},
			// What is left on a node is left on one that is cordoned or tainted too.
			Tolerations:           []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			RestartPolicy:         corev1.RestartPolicyNever,
			ActiveDeadlineSeconds: new(int64(deadline / time.Second)),
			ServiceAccountName:    account,
			// Where there are none, the API server takes the account's.
			ImagePullSecrets:              slices.Clone(r.secrets()),
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
			TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{
				Name:    "node",
				Image:   r.image,
				Command: append([]string{"/kuda-runtime", "node"}, t.commandArgs()...),
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
					Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
				},
				VolumeMounts: []corev1.VolumeMount{{Name: volumeStores, MountPath: sidecar.StoreRoot}},
				SecurityContext: &corev1.SecurityContext{
					// The directories of a hostPath are root's.
					RunAsUser: new(int64(0)), RunAsGroup: new(int64(0)), RunAsNonRoot: new(false),
					Privileged: new(false), AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
					SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				},
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
			}},
			Volumes: []corev1.Volume{{Name: volumeStores, VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: r.hostPath(), Type: new(corev1.HostPathDirectoryOrCreate)},
			}}},
		},
	}
}
