// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics/testutil"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func newCycle() fwk.CycleState { return framework.NewCycleState() }

func TestPodsWithDifferentDataHaveDifferentSignatures(t *testing.T) {
	h := newHarness()
	h.node("a")
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	sign := func(p *corev1.Pod) []fwk.SignFragment {
		t.Helper()
		fragments, status := h.SignPod(t.Context(), p)
		if !status.IsSuccess() {
			t.Fatalf("a pod cannot be signed, which turns batching off: %v", status)
		}
		return fragments
	}
	first := sign(newPod("p"))
	if !cmp.Equal(first, sign(newPod("q"))) {
		t.Error("pods that want the same have different signatures")
	}
	if cmp.Equal(first, sign(newPod("q", func(p *corev1.Pod) { p.Labels = nil }))) {
		t.Error("a pod that wants nothing has the signature of one that does")
	}
	d = d.DeepCopy()
	d.Spec.Template.DataItems[0].Version = "v2"
	h.dataSetChanged(d)
	if cmp.Equal(first, sign(newPod("q"))) {
		t.Error("pods with different versions have one signature")
	}
}

func TestPlacementsAreCounted(t *testing.T) {
	registerMetrics()
	h := newHarness()
	for _, name := range []string{"all", "half", "none"} {
		h.node(name)
	}
	d := h.dataSet("models", v1alpha1.PlacementPrefer, "model", "index")
	part := d.DeepCopy()
	part.Spec.Template.DataItems = part.Spec.Template.DataItems[:1]
	h.store("all", 9*gib, d)
	h.store("half", 9*gib, part)
	before, err := testutil.GetCounterMetricValue(missingBytes)
	if err != nil {
		t.Fatal(err)
	}
	for node, holder := range map[string]string{"all": "full", "half": "partial", "none": "none"} {
		counted, err := testutil.GetCounterMetricValue(placements.WithLabelValues(holder))
		if err != nil {
			t.Fatal(err)
		}
		cycle, _, _ := h.preFilter(newPod("p"))
		h.PostBind(t.Context(), cycle, newPod("p"), node)
		if now, err := testutil.GetCounterMetricValue(placements.WithLabelValues(holder)); err != nil || now != counted+1 {
			t.Errorf("placements with holder %s went from %v to %v (%v)", holder, counted, now, err)
		}
	}
	if after, err := testutil.GetCounterMetricValue(missingBytes); err != nil || after-before != float64(3*gib) {
		t.Errorf("%v bytes are counted as missing (%v), want 3 GiB", after-before, err)
	}
}
