// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/scheduler/apis/config"
)

func TestNodeWithTheDataIsPreferred(t *testing.T) {
	h := newHarness()
	h.node("a")
	h.node("b")
	h.node("c")
	d := h.dataSet("models", v1alpha1.PlacementPrefer, "model", "index")
	part := h.dataSet("other", v1alpha1.PlacementIgnore)
	part.Spec.Template.DataItems = d.Spec.Template.DataItems[:1]
	part.Spec.Template.DataSources = d.Spec.Template.DataSources
	h.store("a", 9*gib, d)
	h.store("b", 9*gib, part)
	h.store("c", 9*gib)
	s := h.scores(t, newPod("p"))
	if s["a"] <= s["b"] || s["b"] <= s["c"] {
		t.Errorf("scores are %v; the node with all of the data must come first, then the one with half", s)
	}
}

func TestNodeNearAFilledCacheIsPreferred(t *testing.T) {
	h := newHarness()
	worker := h.node("worker").DeepCopy()
	worker.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}}
	h.setNode(worker)
	h.node("none")
	d := h.dataSet("models", v1alpha1.PlacementPrefer).DeepCopy()
	if s := h.scores(t, newPod("p")); len(s) != 0 {
		t.Errorf("scores are %v; nothing is known of the data", s)
	}
	now := metav1.Now()
	d.Status.Preheat = &v1alpha1.PreheatStatus{Revision: d.Status.UpdateRevision, Cache: &v1alpha1.PreheatCacheStatus{
		Phase: v1alpha1.PreheatReady, HeldBytes: gib, TotalBytes: gib, Time: &now,
		Holders: []v1alpha1.CacheHolder{{Host: "10.0.0.1", Bytes: gib}}}}
	h.dataSetChanged(d)
	if s := h.scores(t, newPod("p")); s["worker"] <= s["none"] {
		t.Errorf("scores are %v; the node with a worker of the cache must come first", s)
	}
	h.node("holder")
	h.store("holder", 9*gib, d)
	if s := h.scores(t, newPod("p")); s["holder"] <= s["worker"] || s["worker"] <= s["none"] {
		t.Errorf("scores are %v; the node with the data must come before the one with a worker of the cache", s)
	}
	h.dataSetGone(d)
	h.dataSetChanged(h.dataSet("models", v1alpha1.PlacementPrefer))
	if s := h.scores(t, newPod("p")); s["worker"] != s["none"] {
		t.Errorf("scores are %v; the cache is not known any more", s)
	}
}

func TestHolderWithFewerPodsIsPreferred(t *testing.T) {
	h := newHarness()
	h.node("full", pods(5)...)
	h.node("free", pods(1)...)
	h.node("none")
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	h.store("full", 9*gib, d)
	h.store("free", 9*gib, d)
	s := h.scores(t, newPod("p"))
	if s["free"] <= s["full"] || s["full"] <= s["none"] {
		t.Errorf("scores are %v; of two holders the one with fewer pods must come first, and both before the node without", s)
	}
	// The next pod sees the one before, and nothing else is counted again.
	h.node("free", pods(9)...)
	if s := h.scores(t, newPod("q")); s["free"] >= s["full"] {
		t.Errorf("scores are %v; the pods that came since must count", s)
	}
}

func TestOnlyPodsOfTheDataSetCount(t *testing.T) {
	h := newHarness()
	stranger := newPod("stranger", func(p *corev1.Pod) { p.Labels = nil })
	neighbour := newPod("neighbour", func(p *corev1.Pod) { p.Namespace = "other" })
	h.node("a", stranger, neighbour)
	h.node("b", pods(1)...)
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	h.store("a", 9*gib, d)
	h.store("b", 9*gib, d)
	if s := h.scores(t, newPod("p")); s["a"] <= s["b"] {
		t.Errorf("scores are %v; only pods of the same DataSets count", s)
	}
}

func TestRackAndZoneOfAHolderRaiseTheScore(t *testing.T) {
	h := newHarness(func(a *config.DataLocalityArgs) { a.RackLabel = rackLabel })
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	holder := h.node("holder")
	for name, change := range map[string]func(*corev1.Node){
		"rack": func(n *corev1.Node) { n.Labels[rackLabel] = holder.Labels[rackLabel] },
		"zone": func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = holder.Labels[corev1.LabelTopologyZone] },
		"both": func(n *corev1.Node) { n.Labels = holder.Labels },
		"far":  func(*corev1.Node) {},
	} {
		n := h.node(name).DeepCopy()
		change(n)
		h.setNode(n)
	}
	h.store("holder", 9*gib, d)
	s := h.scores(t, newPod("p"))
	if s["both"] <= s["rack"] || s["rack"] <= s["far"] || s["zone"] <= s["far"] || s["holder"] <= s["both"] {
		t.Errorf("scores are %v", s)
	}
}

func TestDownloadsOfANodeLowerItsScore(t *testing.T) {
	h := newHarness()
	h.node("busy")
	h.node("idle")
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	h.node("holder")
	h.store("holder", 9*gib, d)
	busy := h.store("busy", 9*gib)
	busy.Status.Stores[0].Snapshots = []v1alpha1.StoredSnapshot{{ID: "x", Phase: v1alpha1.SnapshotDownloading, Bytes: gib}}
	h.storeChanged(busy)
	h.store("idle", 9*gib)
	if s := h.scores(t, newPod("p")); s["idle"] <= s["busy"] {
		t.Errorf("scores are %v; a node that downloads already must come after one that does not", s)
	}
}

func TestPodWithoutDataIsNotScored(t *testing.T) {
	h := newHarness()
	h.node("a")
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	for what, pod := range map[string]*corev1.Pod{
		"no node has any of its data": newPod("p"),
		"no DataSet selects it":       newPod("p", func(p *corev1.Pod) { p.Labels = nil }),
	} {
		if s := h.scores(t, pod); len(s) > 0 {
			t.Errorf("when %s, scores are %v; want none", what, s)
		}
	}
	h.store("a", 9*gib, d)
	if s := h.scores(t, newPod("p")); len(s) == 0 {
		t.Error("a pod whose data is on a node is not scored")
	}
}

// crowd is a pod's cycle with so many nodes, of which one in every so many holds
// its data.
func crowd(tb testing.TB, nodes, every int) (*harness, fwk.CycleState, *corev1.Pod, []fwk.NodeInfo) {
	tb.Helper()
	h := newHarness(func(a *config.DataLocalityArgs) { a.RackLabel = rackLabel })
	d := h.dataSet("models", v1alpha1.PlacementPrefer, "model", "index")
	infos := make([]fwk.NodeInfo, nodes)
	for i := range infos {
		name := fmt.Sprintf("node-%04d", i)
		h.node(name)
		if i%every == 0 {
			h.store(name, 99*gib, d)
		}
		infos[i] = h.handle.nodes[name]
	}
	pod := newPod("p")
	cycle, _, _ := h.preFilter(pod)
	if status := h.PreScore(tb.Context(), cycle, pod, infos); !status.IsSuccess() {
		tb.Fatalf("PreScore: %v", status)
	}
	return h, cycle, pod, infos
}

func TestScoreDoesNotAllocate(t *testing.T) {
	for name, every := range map[string]int{"few holders": 50, "many holders": 2} {
		h, cycle, pod, nodes := crowd(t, 1000, every)
		ctx, i := t.Context(), 0
		if n := testing.AllocsPerRun(2000, func() {
			_, _ = h.Score(ctx, cycle, pod, nodes[i%len(nodes)])
			i++
		}); n != 0 {
			t.Errorf("with %s Score allocates %v times", name, n)
		}
	}
}

func BenchmarkScore(b *testing.B) {
	h, cycle, pod, nodes := crowd(b, 1000, 50)
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = h.Score(ctx, cycle, pod, nodes[i%len(nodes)])
	}
}

// BenchmarkPod is what a pod costs before its nodes are scored.
func BenchmarkPod(b *testing.B) {
	h, _, pod, nodes := crowd(b, 1000, 50)
	b.ReportAllocs()
	for b.Loop() {
		cycle, _, _ := h.preFilter(pod)
		_ = h.PreScore(b.Context(), cycle, pod, nodes)
	}
}

func TestChangedLabelsOfANodeChangeItsScore(t *testing.T) {
	h := newHarness(func(a *config.DataLocalityArgs) { a.RackLabel = rackLabel })
	holder := h.node("holder")
	n := h.node("n")
	h.store("holder", 9*gib, h.dataSet("models", v1alpha1.PlacementPrefer))
	before := h.scores(t, newPod("p"))
	n = n.DeepCopy()
	n.Labels = holder.Labels
	h.setNode(n)
	if after := h.scores(t, newPod("q")); after["n"] <= before["n"] {
		t.Errorf("scores went from %v to %v; a node that is in the holder's rack and zone now must be worth more", before, after)
	}
}

func TestScoresOfTwoCyclesAreIndependent(t *testing.T) {
	h := newHarness()
	h.node("a", pods(3)...)
	h.node("b")
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	other := h.dataSet("other", v1alpha1.PlacementPrefer)
	other.Spec.WorkloadSelector = map[string]string{"app": "other"}
	h.dataSetChanged(other)
	h.store("a", 9*gib, d)
	h.store("b", 9*gib, other)
	first, second := newPod("p"), newPod("q", func(p *corev1.Pod) { p.Labels = map[string]string{"app": "other"} })
	one, _, _ := h.preFilter(first)
	h.PreScore(t.Context(), one, first, nil)
	want, _ := h.Score(t.Context(), one, first, h.handle.nodes["a"])
	two, _, _ := h.preFilter(second)
	h.PreScore(t.Context(), two, second, nil)
	if got, _ := h.Score(t.Context(), one, first, h.handle.nodes["a"]); got != want {
		t.Errorf("a node is worth %d to a pod after another was looked at, %d before", got, want)
	}
	if got, _ := h.Score(t.Context(), two, second, h.handle.nodes["a"]); got >= want {
		t.Errorf("the node without the second pod's data is worth %d to it", got)
	}
}

func TestWhatThePodPrefersItselfOutweighsItsData(t *testing.T) {
	h := newHarness()
	h.node("a")
	h.store("a", 9*gib, h.dataSet("models", v1alpha1.PlacementPrefer))
	ours := corev1.PreferredSchedulingTerm{Weight: 100,
		Preference: corev1.NodeSelectorTerm{MatchFields: pinnedTo(
			"a").NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields}}
	own := corev1.PreferredSchedulingTerm{Weight: 1,
		Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk",
			Operator: corev1.NodeSelectorOpExists}}}}
	with := func(terms ...corev1.PreferredSchedulingTerm) *corev1.Pod {
		return newPod("p", func(p *corev1.Pod) {
			p.Annotations = map[string]string{v1alpha1.AnnotationPlacement: "a=100"}
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: terms}}
		})
	}
	plain := h.scores(t, newPod("p"))["a"]
	if got := h.scores(t, with(ours))["a"]; got != plain {
		t.Errorf("with the webhook's preference alone the holder is worth %d, want %d as without", got, plain)
	}
	// NodeAffinity weighs 2, DataLocality 5: an own term that one node has and the
	// other has not is 200 points.
	if got := h.scores(t, with(own, ours))["a"]; got == 0 || 5*got >= 200 {
		t.Errorf("with a preference of its own the holder is worth %d to the pod", got)
	}
}

func TestManyHoldersAreScoredLikeFew(t *testing.T) {
	for name, every := range map[string]int{"few": 50, "many": 2} {
		h, cycle, pod, nodes := crowd(t, 1000, every)
		s := stateOf(cycle)
		for i, n := range nodes {
			got, _ := h.Score(t.Context(), cycle, pod, n)
			if want := h.scoreNode(s, n.Node().Name); got != want {
				t.Fatalf("with %s holders node %d is worth %d, want %d", name, i, got, want)
			}
		}
	}
}
