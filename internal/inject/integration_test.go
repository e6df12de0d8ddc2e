// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package inject

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// TestTheAPIServerAcceptsEveryInjectedPod creates what Inject makes of random pods, once in
// a namespace without rules and once where the restricted level is enforced.
func TestTheAPIServerAcceptsEveryInjectedPod(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run the tests by \"make integration\"")
	}
	env := &envtest.Environment{}
	defer func() { _ = env.Stop() }() // also what a failed start has left running
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	restricted := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	for name, labels := range map[string]map[string]string{"plain": nil, "restricted": restricted} {
		if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(100) {
			req := randomRequest(rand.New(rand.NewPCG(seed, 3)))
			req.Namespace = Namespace{Name: name, UID: "6f0b1c52-4d0f-4c8e-9d55-0f4a2b7f1c11", Labels: labels}
			req.Pod.Namespace, req.Pod.Spec.ServiceAccountName = name, "default"
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
			if labels != nil && pod.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod {
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
