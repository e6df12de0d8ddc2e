// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/scheduler/apis/config"
)

// roomy makes a node with room for ten pods.
func (h *harness) roomy(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := h.node(name)
	n.Status.Allocatable = quantities("cpu", "8", "memory", "8Gi", "ephemeral-storage", "8Gi", "pods", "10")
	for _, f := range change {
		f(n)
	}
	h.setNode(n)
	return n
}

// limitedNodes has a holder with room and a node without the data.
func limitedNodes(change ...func(*config.DataLocalityArgs)) *harness {
	h := newHarness(change...)
	h.roomy("holder")
	h.roomy("other")
	h.store("holder", 9*gib, h.dataSet("models", v1alpha1.PlacementPrefer))
	return h
}

// looksAt are the nodes that a pod's attempt looks at; nil for all.
func (h *harness) looksAt(t *testing.T, pod *corev1.Pod) sets.Set[string] {
	t.Helper()
	_, result, status := h.preFilter(pod)
	if !status.IsSuccess() && !status.IsSkip() {
		t.Fatalf("PreFilter answers %v", status)
	}
	if result.AllNodes() {
		return nil
	}
	return result.NodeNames
}

func TestFreePodConsidersOnlyNodesWithMostOfItsData(t *testing.T) {
	h := newHarness()
	for _, name := range []string{"all", "too", "nearly", "half", "coming", "none"} {
		h.roomy(name)
	}
	h.node("crowded")
	d := h.dataSet("models", v1alpha1.PlacementPrefer, "1", "2", "3", "4")
	for _, name := range []string{"all", "too", "crowded"} {
		h.store(name, 9*gib, d)
	}
	part := func(node string, n int, phase v1alpha1.SnapshotPhase) {
		var list []v1alpha1.StoredSnapshot
		for _, mark := range placement.Marks(d.Spec.Template)[:n] {
			list = append(list, v1alpha1.StoredSnapshot{ID: mark, Marks: []string{mark}, Bytes: gib, Phase: phase})
		}
		s := h.store(node, 99*gib)
		s.Status.Stores[0].Snapshots = list
		h.storeChanged(s)
	}
	part("nearly", 3, v1alpha1.SnapshotComplete)
	part("half", 2, v1alpha1.SnapshotComplete)
	part("coming", 4, v1alpha1.SnapshotDownloading)
	// Where there is no room the scheduler finds out itself.
	if diff := cmp.Diff(sets.New("all", "too", "nearly", "crowded"), h.looksAt(t, newPod("p"))); diff != "" {
		t.Errorf("the pod looks at other nodes:\n%s", diff)
	}
}

// prefers returns an affinity that prefers nodes.
func prefers(terms ...string) *corev1.Affinity {
	a := &corev1.NodeAffinity{}
	for _, node := range terms {
		a.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{Weight: 100,
				Preference: pinnedTo(node).NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0]})
	}
	return &corev1.Affinity{NodeAffinity: a}
}

func TestPodWithItsOwnRulesConsidersAllNodes(t *testing.T) {
	apart := corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "server"}}}
	volume := func(s corev1.VolumeSource) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: s}} }
	}
	condition := func(reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason}}
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*corev1.Pod)
		ruled  bool
	}{
		{"nothing", func(*corev1.Pod) {}, false},
		{"what the webhook adds", func(p *corev1.Pod) {
			p.Annotations = map[string]string{v1alpha1.AnnotationPlacement: "holder=100,gone=60"}
			p.Spec.Affinity = prefers("holder", "gone")
		}, false},
		{"affinity that says nothing", func(p *corev1.Pod) { p.Spec.Affinity = &corev1.Affinity{} }, false},
		{"requests", requesting(container("cpu", "1")), false},
		{"tolerations", func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }, false},
		{"a gate that it had", condition(corev1.PodReasonSchedulingGated), false},
		{"a port", func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}
		}, false},
		{"a directory of the node", volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}), false},
		{"a projected volume", volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}), false},

		{"a node selector", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }, true},
		{"required node affinity", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
					NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk",
						Operator: corev1.NodeSelectorOpExists}}}},
				}}}
		}, true},
		{"a preference of its own", func(p *corev1.Pod) { p.Spec.Affinity = prefers("other") }, true},
		{"one beside the webhook's", func(p *corev1.Pod) {
			p.Annotations = map[string]string{v1alpha1.AnnotationPlacement: "holder=99"}
			p.Spec.Affinity = prefers("other", "holder")
		}, true},
		{"affinity to pods", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{apart}}}
		}, true},
		{"preferred anti-affinity", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
				PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 1, PodAffinityTerm: apart}}}}
		}, true},
		{"spread that is preferred", func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelHostname,
				WhenUnsatisfiable: corev1.ScheduleAnyway}}
		}, true},
		{"a port of the node", func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}}}
		}, true},
		{"a claim", volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}), true},
		{"a claim of its own", volume(corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}), true},
		{"a volume of a driver", volume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "d"}}), true},
		{"devices", func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }, true},
		{"an extended resource", requesting(container("example.com/gpu", "1")), true},
		{"huge pages", requesting(container("hugepages-2Mi", "2Mi")), true},
		{"a group", func(p *corev1.Pod) { p.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{} }, true},
		{"a node that is kept for it", func(p *corev1.Pod) { p.Status.NominatedNodeName = "other" }, true},
		{"an attempt that failed", condition(corev1.PodReasonUnschedulable), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := limitedNodes().looksAt(t, newPod("p", tc.change))
			if tc.ruled && got != nil {
				t.Errorf("the pod looks at %v only", got)
			}
			if diff := cmp.Diff(sets.New("holder"), got); !tc.ruled && diff != "" {
				t.Errorf("the pod does not look at the holder only:\n%s", diff)
			}
		})
	}
}

func TestOnlyAHolderThatMayTakeThePodNarrows(t *testing.T) {
	taint := func(effect corev1.TaintEffect) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "taken", Effect: effect}} }
	}
	for _, tc := range []struct {
		name   string
		node   func(*corev1.Node)
		change func(*harness)
		pod    func(*corev1.Pod)
		want   bool
	}{
		{name: "free", want: true},
		{name: "cordoned", node: func(n *corev1.Node) { n.Spec.Unschedulable = true }},
		{name: "tainted", node: taint(corev1.TaintEffectNoSchedule)},
		{name: "about to be emptied", node: taint(corev1.TaintEffectNoExecute)},
		{name: "better not taken", node: taint(corev1.TaintEffectPreferNoSchedule)},
		{name: "tainted and tolerated", node: taint(corev1.TaintEffectNoSchedule), want: true, pod: func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Key: "taken", Operator: corev1.TolerationOpExists}}
		}},
		{name: "used up", pod: requesting(container("cpu", "9"))},
		{name: "full", node: func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("0") }},
		{name: "kept for another pod", change: func(h *harness) { h.handle.nominated["holder"] = make([]fwk.PodInfo, 1) }},
		{name: "not yet known to the scheduler", change: func(h *harness) { delete(h.handle.nodes, "holder") }},
		{name: "not ready", node: func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := limitedNodes()
			if tc.node != nil {
				h.roomy("holder", tc.node)
			}
			if tc.change != nil {
				tc.change(h)
			}
			p := newPod("p")
			if tc.pod != nil {
				tc.pod(p)
			}
			if got := h.looksAt(t, p); (got != nil) != tc.want {
				t.Errorf("the pod looks at %v", got)
			}
			// One that may take it is enough.
			h.roomy("second")
			h.store("second", 9*gib, h.catalog.namespaces[namespace].dataSets["models"])
			if got := h.looksAt(t, newPod("q", func(q *corev1.Pod) { q.Spec = p.Spec })); got == nil && tc.name != "used up" {
				t.Error("with a second holder the pod looks at all nodes")
			}
		})
	}
}

func TestDataThatDoesNotDecideDoesNotNarrow(t *testing.T) {
	for name, change := range map[string]func(*harness, *v1alpha1.DataSet){
		"no node has it": func(h *harness, _ *v1alpha1.DataSet) { h.store("holder", 9*gib) },
		"no node has all of it": func(h *harness, d *v1alpha1.DataSet) {
			d = d.DeepCopy()
			more := d.Spec.Template.DataItems[0]
			more.Name, more.RemotePath = "index", "/index"
			d.Spec.Template.DataItems = append(d.Spec.Template.DataItems, more)
			h.dataSetChanged(d)
		},
		"it is small": func(h *harness, _ *v1alpha1.DataSet) {
			d := h.dataSet("models", v1alpha1.PlacementPrefer)
			s := h.store("holder", 9*gib, d)
			s.Status.Stores[0].Snapshots[0].Bytes = 1 << 20
			h.storeChanged(s)
		},
		"it is left alone": func(h *harness, _ *v1alpha1.DataSet) { h.dataSet("models", v1alpha1.PlacementIgnore) },
	} {
		h := limitedNodes()
		change(h, h.catalog.namespaces[namespace].dataSets["models"])
		if got := h.looksAt(t, newPod("p")); got != nil {
			t.Errorf("when %s the pod looks at %v only", name, got)
		}
	}
}

func TestPodThatOtherPluginsRestrictConsidersAllNodes(t *testing.T) {
	for _, key := range judges {
		h := limitedNodes()
		cycle := framework.NewCycleState()
		cycle.Write(key, &state{})
		if result, _ := h.PreFilter(t.Context(), cycle, newPod("p"), nil); !result.AllNodes() {
			t.Errorf("with %s the pod looks at %v only", key, result.NodeNames)
		}
	}
	h := limitedNodes()
	cycle := framework.NewCycleState()
	cycle.SetPodGroupSchedulingCycle(framework.NewCycleState())
	if result, _ := h.PreFilter(t.Context(), cycle, newPod("p"), nil); !result.AllNodes() {
		t.Errorf("a pod that is placed with its group looks at %v only", result.NodeNames)
	}
}

func TestPodIsNarrowedOnlyWhereItsDataOutweighsTheRest(t *testing.T) {
	for _, tc := range []struct {
		name   string
		args   func(*config.DataLocalityArgs)
		handle func(*fakeHandle)
		want   bool
	}{
		{name: "as installed", want: true},
		{name: "without racks", args: func(a *config.DataLocalityArgs) { a.Weights.Rack = 0 }, want: true},
		{name: "the data alone", args: func(a *config.DataLocalityArgs) {
			a.Weights.Rack, a.Weights.Zone, a.Weights.Downloads, a.Weights.Spread = 0, 0, 0, 0
		}, want: true},
		{name: "spread as much as data", args: func(a *config.DataLocalityArgs) { a.Weights.Spread = a.Weights.Node }},
		{name: "the plugin counts as much as others", handle: func(h *fakeHandle) { h.weights[Name] = 2 }},
		{name: "another counts more", handle: func(h *fakeHandle) { h.weights[names.PodTopologySpread] = 5 }},
		{name: "the plugin does not score", handle: func(h *fakeHandle) { delete(h.weights, Name) }},
		{name: "an extender has a say", handle: func(h *fakeHandle) { h.extenders = make([]fwk.Extender, 1) }},
	} {
		var args []func(*config.DataLocalityArgs)
		if tc.args != nil {
			args = append(args, tc.args)
		}
		h := limitedNodes(args...)
		if tc.handle != nil {
			tc.handle(h.handle)
		}
		if got := h.looksAt(t, newPod("p")); (got != nil) != tc.want {
			t.Errorf("%s: the pod looks at %v", tc.name, got)
		}
	}
}

func TestPodIsNarrowedOnce(t *testing.T) {
	h := limitedNodes()
	p := newPod("p")
	if h.looksAt(t, p) == nil {
		t.Fatal("the first attempt looks at all nodes")
	}
	// The scheduler keeps that for a pod that it is just trying.
	if diff := cmp.Diff([]string{"p"}, h.woken()); diff != "" {
		t.Errorf("should the attempt fail, others are tried again at once:\n%s", diff)
	}
	// The second comes before the pod's status says that the first has failed.
	if got := h.looksAt(t, p); got != nil {
		t.Errorf("the second attempt looks at %v only", got)
	}
	if woken := h.woken(); len(woken) > 0 {
		t.Errorf("after an attempt that looks at all nodes %v would be tried at once", woken)
	}
}

func TestNarrowedPodIsForgottenWhenPlacedOrDeleted(t *testing.T) {
	for name, leave := range map[string]func(*harness, *corev1.Pod){
		"bound":             func(h *harness, p *corev1.Pod) { h.PostBind(t.Context(), newCycle(), p, "holder") },
		"placed by another": func(h *harness, p *corev1.Pod) { p.Spec.NodeName = "other"; h.podChanged(p) },
		"deleted":           func(h *harness, p *corev1.Pod) { h.forgetPod(p) },
	} {
		h := limitedNodes()
		p := newPod("p")
		h.preFilter(p)
		h.podChanged(p)
		if !h.attempts.has(p.UID) {
			t.Fatal("the pod is not remembered")
		}
		if leave(h, p); len(h.attempts.pods) != 0 {
			t.Errorf("a pod that is %s is kept", name)
		}
	}
}

func TestNarrowedAttemptEvictsNoPods(t *testing.T) {
	h := limitedNodes()
	cycle, _, _ := h.preFilter(newPod("p"))
	filter := func(cycle fwk.CycleState, node string) fwk.Code {
		return h.Filter(t.Context(), cycle, newPod("p"), h.handle.nodes[node]).Code()
	}
	if got := filter(cycle, "holder"); got != fwk.Success {
		t.Errorf("the holder is rejected: %v", got)
	}
	// An equal pod before it may have led to it.
	if got := filter(cycle, "other"); got != fwk.UnschedulableAndUnresolvable {
		t.Errorf("for a node that was not named Filter answers %v", got)
	}
	if got := filter(cycle.Clone(), "holder"); got != fwk.UnschedulableAndUnresolvable {
		t.Errorf("for the holder without some of its pods Filter answers %v", got)
	}
	all, _, _ := h.preFilter(newPod("p"))
	for _, node := range []string{"holder", "other"} {
		if got := filter(all.Clone(), node); got != fwk.Success {
			t.Errorf("an attempt that looks at all nodes may not evict pods of %s: %v", node, got)
		}
	}
}

func TestNamedNodesAreScoredTheSame(t *testing.T) {
	h := newHarness()
	h.roomy("free")
	busy := h.node("busy", pods(3)...)
	d := h.dataSet("models", v1alpha1.PlacementPrefer)
	h.store("free", 9*gib, d)
	h.store("busy", 9*gib, d)
	h.roomy("none")
	p := newPod("p")
	if got := h.looksAt(t, p); !got.Has(busy.Name) {
		t.Fatalf("the pod looks at %v", got)
	}
	h.attempts.remove(p.UID)
	few := h.scores(t, p)
	if all := h.scores(t, p); !cmp.Equal(few, all) || few["free"] <= few["busy"] {
		t.Errorf("the scores are %v in an attempt that looks at some nodes, and %v in one that looks at all", few, all)
	}
}
