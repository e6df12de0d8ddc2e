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
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/scheduler/schedulertest"
)

// failed reports whether some attempt of the scheduler to place a pod has failed.
func (w *world) failed(s *schedulertest.Scheduler) bool {
	w.Helper()
	text, err := s.Metrics(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return strings.Contains(string(text), `scheduler_schedule_attempts_total{profile="kuda-scheduler",result="unschedulable"}`)
}

// zone puts a node into one.
func zone(name string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = name }
}

// loner is a pod of no DataSet that is on a node and suffers no server in its zone.
func (w *world) loner(node string) *corev1.Pod {
	w.Helper()
	return w.pod("loner", func(p *corev1.Pod) {
		p.Labels = nil
		p.Spec.NodeName = node
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey: corev1.LabelTopologyZone, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "server"}},
			}}}}
	})
}

func TestBacklogFillsTheHoldersThenOtherNodes(t *testing.T) {
	w := newWorld(t, "n1", "n2")
	for _, name := range []string{"small1", "small2"} {
		w.node(name, func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("10") })
	}
	d := w.dataSet("models", v1alpha1.PlacementPrefer)
	w.holds("small1", d)
	w.holds("small2", d)
	all := make([]*corev1.Pod, 30)
	for i := range all {
		all[i] = w.pod(fmt.Sprintf("p%d", i))
	}
	s := start(t, "backlog")
	on := map[string]int{}
	for _, p := range all {
		on[w.placed(p)]++
	}
	if on["small1"] != 10 || on["small2"] != 10 || on["n1"]+on["n2"] != 10 {
		t.Errorf("30 equal pods are on %v; each holder takes ten, the others must go elsewhere", on)
	}
	if w.failed(s) {
		t.Error("an attempt has failed though there was room all the time")
	}
}

func TestHolderThatMayNotTakeThePodIsNotTried(t *testing.T) {
	for name, change := range map[string]func(*world){
		"cordoned": func(w *world) { w.update("holder", func(n *corev1.Node) { n.Spec.Unschedulable = true }) },
		"tainted": func(w *world) {
			w.update("holder", func(n *corev1.Node) {
				n.Spec.Taints = []corev1.Taint{{Key: "taken", Effect: corev1.TaintEffectNoSchedule}}
			})
		},
		"beside-a-pod-that-wants-to-be-alone": func(w *world) { w.loner("neighbour") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.node("holder", zone("a"))
			w.node("neighbour", zone("a"))
			w.node("far", zone("b"))
			w.holds("holder", w.dataSet("models", v1alpha1.PlacementPrefer))
			change(w)
			s := start(t, "may-not-"+name)
			for i := range 3 {
				if node := w.placed(w.pod(fmt.Sprintf("p%d", i))); node == "holder" {
					t.Error("the pod is on the holder")
				}
			}
			if w.failed(s) {
				t.Error("an attempt has failed")
			}
		})
	}
}

func (w *world) update(node string, change func(*corev1.Node)) {
	w.Helper()
	n := w.nodes[node]
	if err := w.server.Client.Get(w.Context(), keyOf(n), n); err != nil {
		w.Fatal(err)
	}
	change(n)
	if err := w.server.Client.Update(w.Context(), n); err != nil {
		w.Fatal(err)
	}
}

// An attempt that looks at the holders alone may be wrong about them: here because
// the plugin runs before the one that knows what other pods do not suffer.
func TestMistakeAboutAHolderIsRetriedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.node("holder", zone("a"))
	w.node("other", zone("b"))
	clients, err := kubernetes.NewForConfig(server.Config)
	if err != nil {
		t.Fatal(err)
	}
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{GenerateName: "important-"}, Value: 1000}
	if class, err = clients.SchedulingV1().PriorityClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.holds("holder", w.dataSet("models", v1alpha1.PlacementPrefer))
	loner := w.loner("holder")
	s := start(t, "mistake", func(profile map[string]any) {
		plugins, ok := profile["plugins"].(map[string]any)
		if !ok {
			t.Fatal("the installed profile has no plugins")
		}
		plugins["preFilter"] = map[string]any{"enabled": []any{map[string]any{"name": "DataLocality"}}}
	})
	began := time.Now()
	for i := range 3 {
		p := w.pod(fmt.Sprintf("p%d", i), func(p *corev1.Pod) { p.Spec.PriorityClassName = class.Name })
		if node := w.placed(p); node != "other" {
			t.Errorf("the pod is on %s", node)
		}
	}
	// Else it takes until something happens that the scheduler takes for a reason,
	// or five minutes.
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("three pods took %s; they were not tried again at once", took)
	}
	if !w.failed(s) {
		t.Error("no attempt has failed, so this test shows nothing")
	}
	if err := server.Client.Get(t.Context(), keyOf(loner), loner); err != nil || loner.DeletionTimestamp != nil {
		t.Errorf("another pod is evicted for one that had room elsewhere (%v)", err)
	}
}
