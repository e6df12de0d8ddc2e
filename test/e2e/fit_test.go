// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestPodThatDeclaresTheRuntimesPortIsDelivered(t *testing.T) {
	t.Parallel()
	store.put(t, "fit/x.txt", []byte(delivered))
	ns := newNamespace(t, nil)
	ds := dataSet(ns, "port", item("x", "fit/x.txt", "v1"))
	create(t, ds)
	p := pod(ns, "port", "port", "wait")
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8888}}
	create(t, p)
	waitDelivered(t, ds, 1, time.Minute)
	waitRunning(t, ns, "port", 1)
	want := corev1.EnvVar{Name: sidecar.EnvServerPort, Value: "18888"}
	if env := pods(t, ns, "port")[0].Spec.Containers[0].Env; !slices.Contains(env, want) {
		t.Errorf("the application is told %v, want %v", env, want)
	}
}

func TestPodIsDeliveredUnderEachLimitRange(t *testing.T) {
	t.Parallel()
	store.put(t, "fit/x.txt", []byte(delivered))
	memory := func(value string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(value)}
	}
	defaults := corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: memory("128Mi"), DefaultRequest: memory("64Mi")}
	for name, limits := range map[string][]corev1.LimitRangeItem{
		"min": {{Type: corev1.LimitTypeContainer, Min: memory("64Mi"), Default: memory("256Mi"), DefaultRequest: memory("128Mi")}},
		"max": {{Type: corev1.LimitTypeContainer, Max: memory("128Mi")}},
		"ratio": {{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: memory("2"), Default: memory("128Mi"),
			DefaultRequest: memory("64Mi")}},
		"max-of-pod": {{Type: corev1.LimitTypePod, Max: memory("200Mi")}, defaults},
	} {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t, nil)
			create(t, &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "limits"}, Spec: corev1.LimitRangeSpec{Limits: limits}})
			ds := dataSet(ns, "limited", item("x", "fit/x.txt", "v1"))
			create(t, ds)
			// The watch of the webhook may be behind the LimitRange by some milliseconds.
			eventually(t, 30*time.Second, func(ctx context.Context) error {
				if err := kube.Create(ctx, pod(ns, "limited", "limited", "wait")); err != nil {
					return fmt.Errorf("creating the pod: %w", err)
				}
				return nil
			})
			waitDelivered(t, ds, 1, 2*time.Minute)
		})
	}
}
