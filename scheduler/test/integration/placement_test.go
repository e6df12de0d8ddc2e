// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestPodsGoToTheirData(t *testing.T) {
	w := newWorld(t, "n1", "n2", "n3", "n4")
	start(t, "prefer")
	d := w.dataSet("models", v1alpha1.PlacementPrefer)
	w.holds("n3", d)
	on := map[string]int{}
	for i := range 30 {
		on[w.placed(w.pod(fmt.Sprintf("p%d", i)))]++
	}
	if on["n3"] != 30 {
		t.Errorf("30 pods whose data is on n3 are on %v", on)
	}
	// With two holders neither takes everything.
	w.holds("n1", d)
	clear(on)
	for i := range 30 {
		on[w.placed(w.pod(fmt.Sprintf("q%d", i)))]++
	}
	if on["n1"]+on["n3"] != 30 || on["n1"] < 15 {
		t.Errorf("30 pods whose data is on n1 and, with 30 pods, on n3 are on %v", on)
	}
}

func TestFullHolderKeepsNoPodsWaiting(t *testing.T) {
	w := newWorld(t, "n1")
	w.node("small", func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("2") })
	start(t, "full")
	w.holds("small", w.dataSet("models", v1alpha1.PlacementPrefer))
	on := map[string]int{}
	for i := range 4 {
		on[w.placed(w.pod(fmt.Sprintf("p%d", i)))]++
	}
	if on["small"] != 2 || on["n1"] != 2 {
		t.Errorf("pods are on %v; the holder takes two, the others must go elsewhere", on)
	}
}

func TestPreferenceBreaksNoRuleOfThePod(t *testing.T) {
	w := newWorld(t, "n1", "n2", "n3")
	start(t, "rules")
	w.holds("n2", w.dataSet("models", v1alpha1.PlacementPrefer))

	apart := map[string]int{}
	for i := range 3 {
		apart[w.placed(w.pod(fmt.Sprintf("apart%d", i), func(p *corev1.Pod) {
			p.Labels["group"] = "apart"
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
					TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"group": "apart"}},
				}}}}
		}))]++
	}
	if len(apart) != 3 {
		t.Errorf("pods that must be apart are on %v", apart)
	}
	spread := map[string]int{}
	for i := range 6 {
		spread[w.placed(w.pod(fmt.Sprintf("spread%d", i), func(p *corev1.Pod) {
			p.Labels["group"] = "spread"
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"group": "spread"}},
			}}
		}))]++
	}
	for node, n := range spread {
		if n != 2 || len(spread) != 3 {
			t.Errorf("pods with a skew of at most 1 are on %v (%s)", spread, node)
			break
		}
	}
	selecting := w.pod("selecting", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "n3"} })
	if node := w.placed(selecting); node != "n3" {
		t.Errorf("a pod that selects n3 is on %s", node)
	}
	preferring := w.pod("preferring", func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname,
					Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}}},
			}}}}
	})
	if node := w.placed(preferring); node != "n1" {
		t.Errorf("a pod that prefers n1 itself is on %s", node)
	}
	tainted := w.nodes["n2"]
	if err := w.server.Client.Get(t.Context(), keyOf(tainted), tainted); err != nil {
		t.Fatal(err)
	}
	tainted.Spec.Taints = []corev1.Taint{{Key: "taken", Effect: corev1.TaintEffectNoSchedule}}
	if err := w.server.Client.Update(t.Context(), tainted); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if node := w.placed(w.pod(fmt.Sprintf("untolerating%d", i))); node == "n2" && i > 0 {
			// The first may have met the node as it was.
			t.Errorf("a pod that does not tolerate the taint is on %s", node)
		}
	}
}

func TestRequireIsPlacedWhenItsDataArrives(t *testing.T) {
	w := newWorld(t, "n1", "n2", "n3")
	start(t, "require")
	d := w.dataSet("models", v1alpha1.PlacementRequire)
	waiting := []*corev1.Pod{w.pod("p1"), w.pod("p2")}
	const want = "no node holds what DataSet models requires: default/model v2 is on no node; preheat it (spec.preheat) or set " +
		"spec.placement to Prefer"
	for _, p := range waiting {
		if message := w.unplaced(p); !strings.Contains(message, want) {
			t.Errorf("the pod is told %q, want %q in it", message, want)
		}
	}
	began := time.Now()
	w.holds("n2", d)
	for _, p := range waiting {
		if node := w.placed(p); node != "n2" {
			t.Errorf("a pod that requires what n2 has is on %s", node)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s from the NodeStore to the pods being placed; they were not woken by it", took)
	}
	// One that prefers is not held up.
	other := w.pod("prefers", func(p *corev1.Pod) { p.Labels = map[string]string{"app": "other"} })
	w.placed(other)
}

func TestStaleEntryIsNotTrusted(t *testing.T) {
	for name, tc := range map[string]struct {
		node  func(*corev1.Node)
		store func(*v1alpha1.NamespaceStore)
	}{
		"not ready":       {node: func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }},
		"another boot":    {store: func(s *v1alpha1.NamespaceStore) { s.BootID = "another" }},
		"from before":     {store: func(s *v1alpha1.NamespaceStore) { s.ObservedTime = metav1.NewTime(time.Now().Add(-2 * time.Hour)) }},
		"another node":    {},
		"another tenant":  {store: func(s *v1alpha1.NamespaceStore) { s.Namespace = "other" }},
		"not yet there":   {store: func(s *v1alpha1.NamespaceStore) { s.Snapshots[0].Phase = v1alpha1.SnapshotDownloading }},
		"another version": {store: func(s *v1alpha1.NamespaceStore) { s.Snapshots[0].Marks = []string{"another"} }},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			w := newWorld(t, "n1")
			stale := w.node("n2", func(n *corev1.Node) {
				if tc.node != nil {
					tc.node(n)
				}
			})
			start(t, "stale-"+strings.ReplaceAll(name, " ", "-"))
			d := w.dataSet("models", v1alpha1.PlacementRequire)
			w.holds("n2", d)
			stores := w.stores("n2")
			if tc.store != nil {
				tc.store(&stores[0])
			}
			if name == "another node" {
				// The node was removed and joined again; the NodeStore is still there.
				if err := w.server.Client.Delete(t.Context(), stale); err != nil {
					t.Fatal(err)
				}
				w.node("n2")
			}
			object := *stale
			if err := w.server.SetStores(t.Context(), &object, stores...); err != nil {
				t.Fatal(err)
			}
			w.unplaced(w.pod("p"))
		})
	}
}
