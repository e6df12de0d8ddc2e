// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestAPodRunsUnderEachLimitRangeUnderWhichItRunsWithoutKuda(t *testing.T) {
	startWebhook(t)
	list := func(cpu, memory string) corev1.ResourceList {
		l := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}
		if cpu != "" {
			l[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		return l
	}
	defaults := corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: list("", "128Mi"), DefaultRequest: list("", "64Mi")}
	for name, limits := range map[string][]corev1.LimitRangeItem{
		"min":                  {{Type: corev1.LimitTypeContainer, Min: list("50m", "64Mi"), Default: list("500m", "256Mi"), DefaultRequest: list("100m", "128Mi")}},
		"min, and no defaults": {{Type: corev1.LimitTypeContainer, Min: list("50m", "300Mi")}},
		"max":                  {{Type: corev1.LimitTypeContainer, Max: list("100m", "128Mi")}},
		"max of the CPU":       {{Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5m")}}},
		"ratio": {{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: list("3", "2"),
			Default: list("300m", "128Mi"), DefaultRequest: list("100m", "64Mi")}},
		"max of the pod":   {{Type: corev1.LimitTypePod, Max: list("", "200Mi")}, defaults},
		"ratio of the pod": {{Type: corev1.LimitTypePod, MaxLimitRequestRatio: list("", "2")}, defaults},
		"min of the pod":   {{Type: corev1.LimitTypePod, Min: list("", "64Mi")}, defaults},
	} {
		t.Run(name, func(t *testing.T) {
			ns := prepare(t, nil)
			limit(t, ns, limits...)
			plain := replica(ns)
			plain.Labels = nil
			if err := admin.Create(t.Context(), plain); err != nil {
				t.Fatalf("without Kuda: %v", err)
			}
			eventually(t, "the pod is created with the runtime", func(ctx context.Context) (bool, error) {
				pod := replica(ns)
				err := admin.Create(ctx, pod)
				if err != nil {
					t.Log(err)
				}
				return err == nil && injected(pod), nil
			})
		})
	}
}

func TestALimitRangeThatLeavesTheRuntimeNoRoomIsNamed(t *testing.T) {
	startWebhook(t)
	tight := corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")}}
	ns := prepare(t, nil)
	limit(t, ns, tight)
	eventually(t, "the pod is created without the runtime", func(ctx context.Context) (bool, error) {
		pod := replica(ns)
		err := admin.Create(ctx, pod)
		return err == nil && len(pod.Spec.InitContainers) == 0 &&
			strings.Contains(pod.Annotations[v1alpha1.AnnotationNotInjected], "LimitRange limits allows a container"), nil
	})
	ns = prepare(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired})
	limit(t, ns, tight)
	eventually(t, "the webhook refuses the pod and names the LimitRange", func(ctx context.Context) (bool, error) {
		err := admin.Create(ctx, replica(ns))
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "LimitRange limits allows a container"), nil
	})
}

// limit makes a LimitRange and waits until the API server heeds it. The webhook may
// still not know it then.
func limit(t *testing.T, ns string, items ...corev1.LimitRangeItem) {
	t.Helper()
	mark := corev1.ResourceList{"example.com/mark": resource.MustParse("0")}
	for _, spec := range []corev1.LimitRangeSpec{
		{Limits: items}, {Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: mark, DefaultRequest: mark}}},
	} {
		limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "limits"}, Spec: spec}
		if _, marks := spec.Limits[0].Default["example.com/mark"]; marks {
			limits.Name = "mark"
		}
		if err := admin.Create(t.Context(), limits); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the API server heeds the LimitRanges", func(ctx context.Context) (bool, error) {
		pod := replica(ns)
		pod.Labels = nil
		err := admin.Create(ctx, pod, client.DryRunAll)
		_, ok := pod.Spec.Containers[0].Resources.Limits["example.com/mark"]
		return ok, err
	})
}

// TestAPodIsCreatedUnderAQuotaOfEachResource has quotas that demand of each container what
// they count. There is no controller manager here, so the test says that they are in force.
func TestAPodIsCreatedUnderAQuotaOfEachResource(t *testing.T) {
	startWebhook(t)
	one := func(names ...corev1.ResourceName) corev1.ResourceList {
		list := corev1.ResourceList{}
		for _, name := range names {
			list[name] = resource.MustParse("2Gi")
		}
		return list
	}
	for name, hard := range map[string]corev1.ResourceList{
		"requests": one(corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage),
		"limits":   one(corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage),
	} {
		t.Run(name, func(t *testing.T) {
			ns := prepare(t, nil)
			q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "all"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}
			if err := admin.Create(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			q.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{}}
			for name := range hard {
				q.Status.Used[name] = resource.MustParse("0")
			}
			if err := admin.Status().Update(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the quota is in force", func(ctx context.Context) (bool, error) {
				return admin.Create(ctx, replica(ns)) != nil, nil
			})
			eventually(t, "a pod with resources is created with the runtime", func(ctx context.Context) (bool, error) {
				pod := replica(ns)
				pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi"), corev1.ResourceEphemeralStorage: resource.MustParse("1Gi"),
				}
				err := admin.Create(ctx, pod)
				if err != nil {
					t.Log(err)
				}
				return err == nil && injected(pod), nil
			})
		})
	}
}
