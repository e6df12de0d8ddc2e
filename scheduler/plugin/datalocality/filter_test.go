// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/scheduler/apis/config"
)

func TestPodThatWantsNoDataIsSkipped(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"no DataSet selects it":  func(p *corev1.Pod) { p.Labels = map[string]string{"app": "other"} },
		"another namespace":      func(p *corev1.Pod) { p.Namespace = "other" },
		"it is not injected":     func(p *corev1.Pod) { p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled },
		"it preheats":            func(p *corev1.Pod) { p.Labels[v1alpha1.LabelPreheat] = "models" },
		"it has its own store":   func(p *corev1.Pod) { p.Annotations = map[string]string{v1alpha1.AnnotationStore: v1alpha1.StorePod} },
		"a DaemonSet has pinned": func(p *corev1.Pod) { p.Spec.Affinity = pinnedTo("a") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness()
			h.node("a")
			h.dataSet("models", v1alpha1.PlacementRequire)
			if _, _, status := h.preFilter(newPod("p", change)); !status.IsSkip() {
				t.Errorf("PreFilter answers %v, want it to skip", status)
			}
		})
	}
}

func pinnedTo(node string) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField,
			Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}},
	}}}
}

func TestPreferAndIgnoreRejectNoNode(t *testing.T) {
	for _, policy := range []v1alpha1.PlacementPolicy{"", v1alpha1.PlacementPrefer, v1alpha1.PlacementIgnore} {
		h := newHarness()
		h.node("a")
		h.node("b")
		d := h.dataSet("models", policy)
		h.store("a", 9*gib, d)
		if _, _, status := h.preFilter(newPod("p")); !status.IsSkip() {
			t.Errorf("with placement %q PreFilter answers %v, want that it needs no Filter", policy, status)
		}
	}
}

func TestRequireAllowsOnlyNodesWithAllTheData(t *testing.T) {
	h := newHarness()
	for _, name := range []string{"all", "half", "none"} {
		h.node(name)
	}
	models := h.dataSet("models", v1alpha1.PlacementRequire)
	index := h.dataSet("index", v1alpha1.PlacementRequire)
	h.store("all", 9*gib, models, index)
	h.store("half", 9*gib, models)
	cycle, result, status := h.preFilter(newPod("p"))
	if !status.IsSuccess() {
		t.Fatalf("PreFilter: %v", status)
	}
	if diff := cmp.Diff(sets.New("all"), result.NodeNames); diff != "" {
		t.Errorf("PreFilter names other nodes:\n%s", diff)
	}
	// The scheduler also asks about nodes that PreFilter did not name.
	for name, want := range map[string]bool{"all": true, "half": false, "none": false} {
		status := h.Filter(t.Context(), cycle, newPod("p"), h.handle.nodes[name])
		if status.IsSuccess() != want {
			t.Errorf("Filter answers %v for %s", status, name)
		}
		if !want && status.Code() != fwk.UnschedulableAndUnresolvable {
			t.Errorf("Filter lets preemption try %s", name)
		}
	}
}

func TestRequireWithoutHolderSaysWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(*harness)
		want string
	}{
		{"one item", func(h *harness) { h.dataSet("models", v1alpha1.PlacementRequire) },
			"no node holds what DataSet models requires: default/model v1 is on no node; preheat it (spec.preheat) or set spec.placement to Prefer"},
		{"one of two items", func(h *harness) {
			d := h.dataSet("models", v1alpha1.PlacementRequire, "model", "index")
			part := d.DeepCopy()
			part.Spec.Template.DataItems = part.Spec.Template.DataItems[:1]
			h.store("a", 9*gib, part)
		}, "no node holds what DataSet models requires: default/index v1 is on no node; preheat it (spec.preheat) or set " +
			"spec.placement to Prefer"},
		{"many items", func(h *harness) {
			h.dataSet("models", v1alpha1.PlacementRequire, "i1", "i2", "i3", "i4", "i5", "i6", "i7")
		},
			"no node holds what DataSet models requires: default/i1 v1, default/i2 v1, default/i3 v1, default/i4 v1, default/i5 v1 and 2 more are " +
				"on no node; preheat them (spec.preheat) or set spec.placement to Prefer"},
		{"each on another node", func(h *harness) {
			h.store("a", 9*gib, h.dataSet("index", v1alpha1.PlacementRequire))
			h.store("b", 9*gib, h.dataSet("models", v1alpha1.PlacementRequire))
		}, "no node holds all that DataSets index, models require: default/model v1 (on 1), default/model v1 (on 1) are on different nodes; " +
			"preheat them onto the same (spec.preheat) or set spec.placement to Prefer"},
		{"what another DataSet only prefers is left out", func(h *harness) {
			h.dataSet("models", v1alpha1.PlacementRequire)
			h.dataSet("nice", v1alpha1.PlacementPrefer)
		}, "no node holds what DataSet models requires: default/model v1 is on no node; preheat it (spec.preheat) or set " +
			"spec.placement to Prefer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness()
			h.node("a")
			h.node("b")
			tc.make(h)
			_, _, status := h.preFilter(newPod("p"))
			if status.Code() != fwk.UnschedulableAndUnresolvable {
				t.Errorf("PreFilter answers %v; preemption cannot help", status.Code())
			}
			if diff := cmp.Diff(tc.want, status.Message()); diff != "" {
				t.Errorf("the message is another one:\n%s", diff)
			}
		})
	}
}

func TestNodeWithoutRoomIsRejected(t *testing.T) {
	const known, unknown = "known", "unknown"
	for _, tc := range []struct {
		name      string
		available int64
		holds     bool
		check     bool
		want      bool
	}{
		{"too little room", gib - 1, false, true, false},
		{"just enough", gib, false, true, true},
		{"no room and nothing missing", 0, true, true, true},
		{"the check is off", 0, false, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(func(a *config.DataLocalityArgs) { a.RoomCheck = tc.check })
			for _, name := range []string{known, unknown, "holder"} {
				h.node(name)
			}
			d := h.dataSet("models", v1alpha1.PlacementPrefer)
			h.store("holder", 9*gib, d) // So that the size is known.
			if tc.holds {
				h.store(known, tc.available, d)
			} else {
				h.store(known, tc.available)
			}
			cycle, result, status := h.preFilter(newPod("p"))
			if !result.AllNodes() || !status.IsSuccess() && !status.IsSkip() {
				t.Fatalf("PreFilter answers %v, %v", result, status)
			}
			got := h.Filter(t.Context(), cycle, newPod("p"), h.handle.nodes[known])
			if got.IsSuccess() != tc.want {
				t.Errorf("Filter answers %v", got)
			}
			if !tc.want && !strings.Contains(got.Message(), "lacked room for the pod's data in the store of namespace shop") {
				t.Errorf("Filter says %q", got.Message())
			}
			if got := h.Filter(t.Context(), cycle, newPod("p"), h.handle.nodes[unknown]); !got.IsSuccess() {
				t.Errorf("a node of which nothing is known is rejected: %v", got)
			}
		})
	}
}

func TestStaleEntryIsNotTrusted(t *testing.T) {
	for name, change := range map[string]func(*corev1.Node, *v1alpha1.NodeStore){
		"the node is not ready":      func(n *corev1.Node, _ *v1alpha1.NodeStore) { n.Status.Conditions[0].Status = corev1.ConditionUnknown },
		"the node is another object": func(n *corev1.Node, _ *v1alpha1.NodeStore) { n.UID = "another" },
		"the machine started anew":   func(n *corev1.Node, _ *v1alpha1.NodeStore) { n.Status.NodeInfo.BootID = "another" },
		"the node was away since": func(n *corev1.Node, _ *v1alpha1.NodeStore) {
			n.Status.Conditions[0].LastTransitionTime = metav1.NewTime(readySince.Add(time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness()
			n := h.node("a")
			d := h.dataSet("models", v1alpha1.PlacementRequire)
			s := h.store("a", 9*gib, d)
			if _, _, status := h.preFilter(newPod("p")); !status.IsSuccess() {
				t.Fatalf("a good entry is not trusted: %v", status)
			}
			change(n, s)
			h.setNode(n)
			if _, _, status := h.preFilter(newPod("p")); status.IsSuccess() {
				t.Error("the entry is trusted")
			}
			h.nodeGone(n)
			if _, _, status := h.preFilter(newPod("p")); status.IsSuccess() {
				t.Error("the entry of a node that is gone is trusted")
			}
		})
	}
}
