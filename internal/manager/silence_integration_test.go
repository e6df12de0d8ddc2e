// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

// TestARuntimeThatHangsIsTakenForOneThatIsFine holds the connection of a runtime to the
// replica that does not lead: its stream stays open, all is acknowledged, and nothing
// comes any more.
func TestARuntimeThatHangsIsTakenForOneThatIsFine(t *testing.T) {
	named := func(name string) func(*manager.Options) {
		return func(o *manager.Options) { o.Namespace, o.Replica = o.LeaderNamespace, name }
	}
	leader := cluster.StartManager(t, named("first"))
	other := cluster.StartManager(t, named("second"))
	ns := cluster.Namespace(t)
	cluster.DataSet(t, ns, "models", "web")
	hangs, lives := cluster.Pod(t, ns, "hangs", "web"), cluster.Pod(t, ns, "lives", "web")
	line := managertest.NewLine(t, other.GatewayAddress())
	other.Through(line.Address).StartRuntime(t, cluster, hangs, "models")
	leader.StartRuntime(t, cluster, lives, "models")

	// ready is the condition of a pod's Data, and what its columns show.
	ready := func(ctx context.Context, podName string) (metav1.Condition, string, error) {
		datas, err := cluster.Datas(ctx, ns)
		for i := range datas {
			if c := assignment.Ready(&datas[i]); datas[i].Spec.PodName == podName && c != nil {
				return *c, datas[i].Status.Ready + " " + datas[i].Status.Progress, err
			}
		}
		return metav1.Condition{}, "", err
	}
	await := func(what, podName string, wanted func(c metav1.Condition, columns string) bool) metav1.Condition {
		t.Helper()
		var last metav1.Condition
		managertest.Eventually(t, what, func(ctx context.Context) (bool, error) {
			c, columns, err := ready(ctx, podName)
			last = c
			return wanted(c, columns), err
		})
		return last
	}
	delivered := func(c metav1.Condition, columns string) bool {
		return c.Status == metav1.ConditionTrue && c.Reason == v1alpha1.ReasonDelivered && columns == "1/1 100%"
	}
	await("one has its data", "hangs", delivered)
	before := await("the other one too", "lives", delivered)

	line.Hold(true)
	held := time.Now()
	await("the hung one is shown as not known", "hangs", func(c metav1.Condition, columns string) bool {
		return c.Status == metav1.ConditionUnknown && c.Reason == v1alpha1.ReasonRuntimeNotConnected &&
			strings.Contains(c.Message, "has not heard") && columns == "?/1 "
	})
	if after := time.Since(held); after < 10*time.Second {
		t.Errorf("it is shown after %s already", after)
	}
	line.Hold(false)
	await("it is shown as it was", "hangs", delivered)

	// It goes to the leader's replica: it is not taken for silent meanwhile.
	moved := await("it has its data", "hangs", delivered)
	leader.StartRuntime(t, cluster, hangs, "models")
	other.Stop()
	over := time.After(20 * time.Second) // longer than it would take
	for look := time.NewTicker(250 * time.Millisecond); ; <-look.C {
		for podName, want := range map[string]metav1.Condition{"hangs": moved, "lives": before} {
			if c, _, err := ready(t.Context(), podName); err != nil || c != want {
				t.Fatalf("%s: %+v, was %+v, %v", podName, c, want, err)
			}
		}
		select {
		case <-over:
			return
		default:
		}
	}
}
