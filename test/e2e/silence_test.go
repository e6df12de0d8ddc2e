// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// A runtime whose process hangs keeps its stream open and owes nothing: the kubelet and
// what it reported last say that all is well.
func TestAHungRuntimeIsNotShownAsIfItWereWell(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "silence/x.txt", []byte(delivered))
	ds := dataSet(ns, "hung", item("x", "silence/x.txt", "v1"))
	create(t, ds)
	create(t, pod(ns, "hung", "hung", "wait"))
	waitDelivered(t, ds, 1, time.Minute)
	live := pods(t, ns, "hung")[0]
	inPod(t, live, "check", "/kuda/data/x")
	await := func(status metav1.ConditionStatus, reason, columns string) {
		t.Helper()
		eventually(t, time.Minute, func(ctx context.Context) error {
			var list v1alpha1.DataList
			if err := kube.List(ctx, &list, client.InNamespace(ns)); err != nil || len(list.Items) != 1 {
				return fmt.Errorf("%d Data, %w", len(list.Items), err)
			}
			s := &list.Items[0].Status
			if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != status || c.Reason != reason ||
				s.Ready != columns {
				return fmt.Errorf("READY %q, condition %+v", s.Ready, c)
			}
			return nil
		})
	}
	await(metav1.ConditionTrue, v1alpha1.ReasonDelivered, "1/1")
	if n := signal(t, syscall.SIGSTOP, "kuda-runtime", string(live.UID)); n != 1 {
		t.Fatalf("%d processes are stopped", n)
	}
	t.Cleanup(func() { signal(t, syscall.SIGCONT, "kuda-runtime", string(live.UID)) })
	await(metav1.ConditionUnknown, v1alpha1.ReasonRuntimeNotConnected, "?/1")
	if out, code := kudaStatus(t, "doctor", "hung", "-n", ns); code == 0 || !strings.Contains(out, "has not heard the pod's runtime") {
		t.Errorf("doctor ended with %d and said:\n%s", code, out)
	}
	// The application has its data all the same.
	if got := inPod(t, live, "check", "/kuda/data/x"); got != delivered {
		t.Errorf("the application reads %q", got)
	}
	signal(t, syscall.SIGCONT, "kuda-runtime", string(live.UID))
	await(metav1.ConditionTrue, v1alpha1.ReasonDelivered, "1/1")
}
