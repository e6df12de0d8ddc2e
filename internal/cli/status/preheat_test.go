// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

func TestTheProgressOfPreheatingIsShown(t *testing.T) {
	next := metav1.NewTime(start.Add(3 * time.Hour))
	d := models(phase(v1alpha1.RolloutCompleted, "", ""), func(d *v1alpha1.DataSet) {
		d.Status.Preheat = &v1alpha1.PreheatStatus{
			Revision: oldRevision, Desired: 3, Ready: 1, Failed: 1, NextScheduleTime: &next,
			Nodes: []v1alpha1.PreheatNodeStatus{
				{Node: "node-b", Phase: v1alpha1.PreheatFailed, Reason: v1alpha1.ReasonInsufficientSpace, Message: "needs 4 GiB"},
				{Node: "node-a", Phase: v1alpha1.PreheatReady},
			},
		}
		d.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionPreheated, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPreheatFailed, Message: "1 of 3 nodes failed",
		}}
	})
	v := build(d, nil)
	text := strings.Join(Render(&v, Look{Now: start, Wide: true}), "\n")
	for _, want := range []string{
		"Preheat     1 of 3 nodes have it, 1 failed, revision 6, looked at again in 3h", "node-b: Failed, InsufficientSpace: needs 4 GiB",
		"node-a: Ready", "Preheated   PreheatFailed: 1 of 3 nodes failed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if narrow := strings.Join(Render(&v, Look{Now: start}), "\n"); strings.Contains(narrow, "node-a") {
		t.Errorf("nodes without -o wide:\n%s", narrow)
	}
	d.Status.Conditions[0].Reason = v1alpha1.ReasonPreheating
	if v = build(d, nil); len(v.Alerts) > 0 {
		t.Errorf("nodes that are on their way are an alert: %+v", v.Alerts)
	}
	for tone, p := range map[frame.Tone]v1alpha1.PreheatStatus{
		frame.Bad: {Desired: 2, Ready: 1, Failed: 1}, frame.Warning: {Desired: 2, Ready: 1}, frame.Good: {Desired: 2, Ready: 2},
	} {
		if got := preheatTone(&p); got != tone {
			t.Errorf("%+v: %d, want %d", p, got, tone)
		}
	}
}
