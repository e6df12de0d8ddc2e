// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// waitRunning waits until n pods labelled app=<app> are there and run.
func waitRunning(t *testing.T, namespace, app string, n int) {
	t.Helper()
	eventually(t, time.Minute, func(ctx context.Context) error {
		var list corev1.PodList
		if err := kube.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{"app": app}); err != nil {
			return err
		}
		if len(list.Items) != n {
			return fmt.Errorf("%d pods, want %d", len(list.Items), n)
		}
		for _, p := range list.Items {
			if p.Status.Phase != corev1.PodRunning {
				return fmt.Errorf("pod %s is %s", p.Name, p.Status.Phase)
			}
		}
		return nil
	})
}

func TestDeletedDataSetFollowsItsPolicy(t *testing.T) {
	t.Parallel()
	store.put(t, "deleted/x.txt", []byte(delivered))
	for policy, kept := range map[v1alpha1.DeletionPolicy]bool{
		v1alpha1.DeletionPolicyRetain: true, v1alpha1.DeletionPolicyRemove: false,
	} {
		t.Run(string(policy), func(t *testing.T) {
			ns := newNamespace(t, nil)
			ds := dataSet(ns, "deleted", item("x", "deleted/x.txt", "v1"))
			ds.Spec.DeletionPolicy = policy
			create(t, ds)
			create(t, deployment(ns, "deleted", 2, "wait"))
			waitDelivered(t, ds, 2, time.Minute)
			if err := kube.Delete(t.Context(), ds); err != nil {
				t.Fatal(err)
			}
			eventually(t, time.Minute, func(ctx context.Context) error {
				var list v1alpha1.DataList
				if err := kube.List(ctx, &list, client.InNamespace(ns)); err != nil {
					return err
				}
				if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), ds); !apierrors.IsNotFound(err) || len(list.Items) != 0 {
					return fmt.Errorf("still there: DataSet (%v), %d Data", err, len(list.Items))
				}
				return nil
			})
			for _, p := range pods(t, ns, "deleted") {
				if got := strings.Contains(inPod(t, p, "list", "/kuda/data"), "/kuda/data/x"); got != kept {
					t.Errorf("with policy %s the file is in the view of %s: %v", policy, p.Name, got)
				}
			}
			if n := restarts(pods(t, ns, "deleted")); n != 0 {
				t.Errorf("applications were restarted %d times", n)
			}
		})
	}
}

func TestPodsOlderThanTheirDataSetAreCountedAndSaid(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "late/x.txt", []byte(delivered))
	create(t, deployment(ns, "late", 2, "wait"))
	waitRunning(t, ns, "late", 2)
	ds := dataSet(ns, "late", item("x", "late/x.txt", "v1"))
	create(t, ds)
	eventually(t, 30*time.Second, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		for _, c := range ds.Status.Conditions {
			if c.Type == v1alpha1.ConditionInjected && c.Reason == v1alpha1.ReasonPodsNotInjected && ds.Status.UninjectedReplicas == 2 {
				return nil
			}
		}
		return fmt.Errorf("status does not say that 2 pods lack the runtime: %+v", ds.Status)
	})
	kubectl(t, "-n", ns, "rollout", "restart", "deployment/late")
	waitDelivered(t, ds, 2, time.Minute)
}

func TestFailingHookShowsItsOutputAndTheViewGoesBack(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "hooks/v1.txt", []byte("first\n"))
	store.put(t, "hooks/v2.txt", []byte("second\n"))
	good := &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{
		Command: []string{"/e2e-app", "check", "/kuda/data/x"}}}}
	file := item("x", "hooks/v1.txt", "v1")
	file.Lifecycle = good
	ds := dataSet(ns, "hooks", file)
	create(t, ds)
	create(t, pod(ns, "hooks", "hooks", "wait"))
	waitDelivered(t, ds, 1, time.Minute)
	update(t, ds, func() {
		i := &ds.Spec.Template.DataItems[0]
		i.Version, i.RemotePath = "v2", "hooks/v2.txt"
		i.Lifecycle = &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{
			Command: []string{"/e2e-app", "fail", "no", "such", "plugin"}}}}
	})
	status := waitItem(t, ns, v1alpha1.ReasonHookFailed, 2*time.Minute)
	if !strings.Contains(status.Message, "no such plugin") {
		t.Errorf("message lacks the hook's output: %q", status.Message)
	}
	p := pods(t, ns, "hooks")[0]
	if got := inPod(t, p, "check", "/kuda/data/x"); got != "first\n" {
		t.Errorf("the view did not go back: the pod reads %q", got)
	}
	update(t, ds, func() {
		ds.Spec.Template.DataItems[0].Version = "v2-mended"
		ds.Spec.Template.DataItems[0].Lifecycle = good
	})
	waitDelivered(t, ds, 1, time.Minute)
	if got := inPod(t, p, "check", "/kuda/data/x"); got != "second\n" {
		t.Errorf("after the mend the pod reads %q", got)
	}
}
