// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package inject

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// TestTheAPIServerAcceptsEveryInjectedPod creates what Inject makes of random pods, once in
// a namespace without rules and once where the restricted level is enforced.
func TestTheAPIServerAcceptsEveryInjectedPod(t *testing.T) {
	_, c := startAPIServer(t)
	restricted := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	for name, labels := range map[string]map[string]string{"plain": nil, "restricted": restricted} {
		n := newNamespace(t, c, labels)
		for seed := range uint64(100) {
			req := randomRequest(rand.New(rand.NewPCG(seed, 3)))
			req.Namespace = n
			req.Pod.Namespace, req.Pod.Spec.ServiceAccountName = n.Name, "default"
			if labels != nil {
				req.Settings.Store = StoreAuto
				restrict(req.Pod)
			}
			pod := mustInject(t, req)
			if err := c.Create(t.Context(), pod, client.DryRunAll); err != nil {
				t.Errorf("namespace %s, seed %d: %v", name, seed, err)
				continue
			}
			// The stored pod has the API server's defaults in it; injecting it
			// again must not find anything to do.
			req.Pod = pod
			if diff := cmp.Diff(apply(t, pod, nil), apply(t, pod, Patch(pod, mustInject(t, req)))); diff != "" {
				t.Errorf("namespace %s, seed %d: injecting the stored pod changes it: %s", name, seed, diff)
			}
			// With kuda-node's driver pods have node stores under each level.
			if labels != nil && req.Settings.NodeDriver == "" && pod.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod {
				t.Errorf("seed %d: got store %s", seed, pod.Annotations[v1alpha1.AnnotationStore])
			}
		}
	}
}

// restrict makes the application's own part of the pod pass the restricted level.
func restrict(p *corev1.Pod) {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			list[i].SecurityContext = &corev1.SecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(1000)), AllowPrivilegeEscalation: new(false),
				Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			}
		}
	}
}
