// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// woken are the pods that were activated since the last call.
func (h *harness) woken() []string {
	list := h.handle.activated
	h.handle.activated = nil
	slices.Sort(list)
	return list
}

func TestPodIsWokenByItsData(t *testing.T) {
	h := newHarness()
	h.node("a")
	h.node("b")
	d := h.dataSet("models", v1alpha1.PlacementRequire)
	other := h.dataSet("other", v1alpha1.PlacementIgnore)
	other.Spec.WorkloadSelector = map[string]string{"app": "other"}
	h.dataSetChanged(other)
	h.preFilter(newPod("p"))
	h.preFilter(newPod("q"))
	h.woken()

	h.store("a", 9*gib)
	h.store("a", 9*gib, other)
	if woken := h.woken(); len(woken) > 0 {
		t.Errorf("%v are woken by what they do not want", woken)
	}
	h.store("a", 9*gib, d)
	if diff := cmp.Diff([]string{"p", "q"}, h.woken()); diff != "" {
		t.Errorf("others are woken by the data:\n%s", diff)
	}
	h.store("b", 9*gib, d)
	if woken := h.woken(); len(woken) > 0 {
		t.Errorf("%v are woken though they do not wait", woken)
	}
}

func TestPodIsNotWokenByWhatDoesNotChangeItsNodes(t *testing.T) {
	h := newHarness()
	h.node("a")
	h.node("b")
	d := h.dataSet("models", v1alpha1.PlacementRequire)
	h.store("a", 9*gib, d)
	// The holder is full with other pods, say.
	h.preFilter(newPod("p"))
	h.store("a", 8*gib, d)
	h.store("b", 8*gib)
	if woken := h.woken(); len(woken) > 0 {
		t.Errorf("%v are woken by reports that help them nothing", woken)
	}
	h.store("b", 8*gib, d)
	if diff := cmp.Diff([]string{"p"}, h.woken()); diff != "" {
		t.Errorf("a second holder wakes others:\n%s", diff)
	}
}

func TestPodIsWokenByRoom(t *testing.T) {
	h := newHarness()
	h.node("a")
	h.node("holder")
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	h.store("holder", 9*gib, d)
	h.store("a", gib/2)
	h.preFilter(newPod("p"))
	h.store("a", gib/4)
	if woken := h.woken(); len(woken) > 0 {
		t.Errorf("%v are woken though there is no room", woken)
	}
	h.store("a", gib)
	if diff := cmp.Diff([]string{"p"}, h.woken()); diff != "" {
		t.Errorf("room wakes others:\n%s", diff)
	}
}

func TestPodIsWokenByItsNodeOrDataSet(t *testing.T) {
	for name, change := range map[string]func(*harness, *corev1.Node, *v1alpha1.DataSet){
		"the node is ready again": func(h *harness, n *corev1.Node, _ *v1alpha1.DataSet) {
			n.Status.Conditions[0].Status = corev1.ConditionTrue
			h.setNode(n)
		},
		"the DataSet prefers": func(h *harness, _ *corev1.Node, d *v1alpha1.DataSet) {
			d = d.DeepCopy()
			d.Spec.Placement = v1alpha1.PlacementPrefer
			h.dataSetChanged(d)
		},
		"the DataSet has another version": func(h *harness, _ *corev1.Node, d *v1alpha1.DataSet) {
			d = d.DeepCopy()
			d.Spec.Template.DataItems[0].Version = "v2"
			h.dataSetChanged(d)
		},
		"the DataSet is gone": func(h *harness, _ *corev1.Node, d *v1alpha1.DataSet) { h.dataSetGone(d) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness()
			n := h.node("a")
			d := h.dataSet("models", v1alpha1.PlacementRequire)
			h.store("a", 9*gib, d)
			n.Status.Conditions[0].Status = corev1.ConditionFalse
			h.setNode(n)
			if _, _, status := h.preFilter(newPod("p")); status.IsSuccess() {
				t.Fatal("the data of a node that is not ready is trusted")
			}
			same := d.DeepCopy()
			same.Status.Replicas = 7
			h.dataSetChanged(same)
			if woken := h.woken(); len(woken) > 0 {
				t.Errorf("%v are woken by a status", woken)
			}
			change(h, n, d)
			if diff := cmp.Diff([]string{"p"}, h.woken()); diff != "" {
				t.Errorf("others are woken:\n%s", diff)
			}
		})
	}
}

func TestPodThatIsPlacedOrGoneNoLongerWaits(t *testing.T) {
	for name, leave := range map[string]func(*harness, *corev1.Pod){
		"bound":             func(h *harness, p *corev1.Pod) { h.PostBind(t.Context(), newCycle(), p, "a") },
		"placed by another": func(h *harness, p *corev1.Pod) { p.Spec.NodeName = "a"; h.podChanged(p) },
		"deleted":           func(h *harness, p *corev1.Pod) { h.forgetPod(p) },
		"wanting no more":   func(h *harness, p *corev1.Pod) { p.Labels = nil; h.preFilter(p) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness()
			h.node("a")
			h.dataSet("models", v1alpha1.PlacementRequire)
			p := newPod("p")
			h.preFilter(p)
			if len(h.waiting.of) != 1 {
				t.Fatalf("%d pods wait, want 1", len(h.waiting.of))
			}
			leave(h, p)
			if len(h.waiting.of)+len(h.waiting.groups) != 0 {
				t.Errorf("%d pods wait in %d groups", len(h.waiting.of), len(h.waiting.groups))
			}
		})
	}
}

func TestHintsQueueAPodForANodeThatCanTakeIt(t *testing.T) {
	h := newHarness()
	n := h.node("a")
	h.node("holder")
	d := h.dataSet("models", v1alpha1.PlacementRequire)
	p := newPod("p")
	hint := func() fwk.QueueingHint {
		t.Helper()
		hint, err := h.afterNode(klog.Background(), p, nil, n)
		if err != nil {
			t.Fatal(err)
		}
		return hint
	}
	if hint() != fwk.QueueSkip {
		t.Error("a node without the data wakes a pod that requires it")
	}
	d.Spec.Placement = v1alpha1.PlacementPrefer
	h.dataSetChanged(d)
	if hint() != fwk.Queue {
		t.Error("a node with room does not wake a pod that was without")
	}
	if _, err := h.afterNode(klog.Background(), p, nil, d); err == nil {
		t.Error("an object that is no node is taken for one")
	}
	events, err := h.EventsToRegister(t.Context())
	if err != nil || len(events) == 0 {
		t.Errorf("no event is registered (%v): rejected pods would be tried again by time alone", err)
	}
}
