// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestBytesAreCountedByNodeRackAndZone(t *testing.T) {
	x := index(Options{},
		nodeStore("all", store("shop", 50, complete(60, "m"), complete(40, "n", "n2"))),
		nodeStore("half", store("shop", 20, complete(60, "m"), downloading(40, "n"), downloading(7, "other"))),
		nodeStore("none", store("shop", 90)),
		nodeStore("foreign", store("bank", 1000, complete(60, "m"), complete(40, "n"))))
	x.SetNode("all", Node{Zone: "z1", Rack: "r1"})
	x.SetNode("half", Node{Zone: "z1", Rack: "r2"})
	d := x.Demand("shop", want("m", "n"))
	if d.Total != 100 || !slices.Equal(d.Sizes, []int64{60, 40}) || d.Zone("z1") != 100 || d.Rack("r2") != 60 || d.Zone("") != 0 {
		t.Errorf("got total %d, sizes %v, zone %d, rack %d", d.Total, d.Sizes, d.Zone("z1"), d.Rack("r2"))
	}
	for node, w := range map[string]struct {
		held      Held
		known     bool
		missing   int64
		downloads int
	}{
		"all":     {Held{Bytes: 100, Loose: 100, Items: 2, Available: 50}, true, 0, 0},
		"half":    {Held{Bytes: 60, Loose: 60, Downloading: 40, Items: 1, Available: 20}, true, 0, 2},
		"none":    {Held{Available: 90}, true, 100, 0},
		"foreign": {Held{}, false, 100, 0},
	} {
		held, known := d.On(node)
		if held != w.held || known != w.known || d.MissingBytes(node) != w.missing || d.Downloads(node) != w.downloads {
			t.Errorf("%s: got %+v, %t, missing %d, downloads %d", node, held, known, d.MissingBytes(node), d.Downloads(node))
		}
	}
	if diff := cmp.Diff([]string{"all", "half"}, d.Holders()) + cmp.Diff([]string{"all"}, d.HoldersOf(1)) +
		cmp.Diff(want("m", "n")[1:], d.Missing("half")); diff != "" {
		t.Error(diff)
	}
	facts := Facts{Total: 100, Held: 60, Downloading: 40, Rack: 60, Zone: 100, Downloads: 2}
	if got := d.Facts("half", "r2", "z1"); got != facts {
		t.Errorf("got facts %+v", got)
	}
}

func TestAFewBytesAreNegligible(t *testing.T) {
	x := index(Options{}, nodeStore("n", store("shop", 50, complete(LeastBytes-1, "config"), complete(LeastBytes, "model"))))
	if d := x.Demand("shop", want("config")); !d.Negligible() || len(d.Holders()) != 1 {
		t.Errorf("%d bytes are a reason for a node", d.Total)
	}
	if d := x.Demand("shop", want("model")); d.Negligible() {
		t.Errorf("%d bytes are none", d.Total)
	}
	if d := x.Demand("shop", want("unknown")); !d.Negligible() {
		t.Error("data without a holder is a reason for a node")
	}
}

// Room that is there only as long as something goes that the pod wants is none.
func TestDataThatThePodWantsIsNotCountedAsRoom(t *testing.T) {
	pinned := complete(60, "m")
	pinned.Pods = 1
	x := index(Options{},
		nodeStore("cached", store("shop", 100, complete(60, "m"))),
		nodeStore("used", store("shop", 40, pinned)),
		nodeStore("roomy", store("shop", 100, complete(60, "m"), complete(40, "n"))),
		nodeStore("larger", store("shop", 99)),
		nodeStore("source", store("shop", 0, complete(60, "m"), complete(40, "n"))))
	got := x.Demand("shop", want("m", "n")).NodesWithoutRoom()
	slices.Sort(got)
	if diff := cmp.Diff([]string{"larger"}, got); diff != "" {
		t.Errorf("nodes without room (-want +got):\n%s", diff)
	}
	x.Set(nodeStore("cached", store("shop", 99, complete(60, "m"))))
	x.Set(nodeStore("used", store("shop", 39, pinned)))
	got = x.Demand("shop", want("m", "n")).NodesWithoutRoom()
	slices.Sort(got)
	if diff := cmp.Diff([]string{"cached", "larger", "used"}, got); diff != "" {
		t.Errorf("nodes without room (-want +got):\n%s", diff)
	}
}

func TestOneSnapshotForTwoItemsIsCountedOnce(t *testing.T) {
	x := index(Options{}, nodeStore("n", store("shop", 50, complete(60, "m"))), nodeStore("empty", store("shop", 60)))
	d := x.Demand("shop", want("m", "m"))
	held, _ := d.On("n")
	if d.Total != 60 || held.Bytes != 60 || held.Items != 2 || d.MissingBytes("empty") != 60 || len(d.Missing("empty")) != 2 {
		t.Errorf("got total %d, held %+v, missing %d", d.Total, held, d.MissingBytes("empty"))
	}
}

func TestRequireIsSatisfiedOnlyByAllRequiredItems(t *testing.T) {
	x := index(Options{}, nodeStore("all", store("shop", 0, complete(1, "m"), complete(1, "n"))),
		nodeStore("part", store("shop", 0, complete(1, "m"), downloading(1, "n"), complete(1, "o"))))
	wants := want("m", "n", "o")
	wants[0].Required, wants[1].Required = true, true
	d := x.Demand("shop", wants)
	for node, satisfied := range map[string]bool{"all": true, "part": false, "unknown": false} {
		if d.Satisfied(node) != satisfied {
			t.Errorf("%s: got %t", node, !satisfied)
		}
	}
	if d := x.Demand("shop", want("m")); !d.Satisfied("unknown") {
		t.Error("what is only preferred is required")
	}
}

func TestStaleEntriesAreIgnored(t *testing.T) {
	good := Node{UID: "u", BootID: "boot", ReadySince: since}
	for name, c := range map[string]struct {
		node    *Node
		change  func(*v1alpha1.NodeStore)
		trusted bool
	}{
		"as it should be":            {node: &good, trusted: true},
		"another node of that name":  {node: &Node{UID: "v", BootID: "boot", ReadySince: since}},
		"another boot":               {node: &Node{UID: "u", BootID: "other", ReadySince: since}},
		"ready again since":          {node: &Node{UID: "u", BootID: "boot", ReadySince: since.Add(time.Second)}},
		"in the second it was seen":  {node: &Node{UID: "u", BootID: "boot", ReadySince: since.Add(999 * time.Millisecond)}, trusted: true},
		"not ready":                  {node: &Node{UID: "u", BootID: "boot"}},
		"no node":                    {},
		"a node without a boot":      {node: &Node{UID: "u", ReadySince: since}, trusted: true},
		"an entry without a boot":    {node: &good, change: func(s *v1alpha1.NodeStore) { s.Status.Stores[0].BootID = "" }, trusted: true},
		"an entry without a time":    {node: &good, change: func(s *v1alpha1.NodeStore) { s.Status.Stores[0].ObservedTime = metav1.Time{} }},
		"a NodeStore without owner":  {node: &good, change: func(s *v1alpha1.NodeStore) { s.OwnerReferences = nil }, trusted: true},
		"owned by another node also": {node: &good, change: func(s *v1alpha1.NodeStore) { s.OwnerReferences[0].UID = "w" }},
	} {
		s := nodeStore("n", store("shop", 50, complete(60, "m")))
		s.OwnerReferences = []metav1.OwnerReference{{Kind: "Node", Name: "n", UID: "u"}}
		if c.change != nil {
			c.change(s)
		}
		x := index(Options{CheckNodes: true}, s)
		if c.node != nil {
			x.SetNode("n", *c.node)
		}
		d := x.Demand("shop", want("m"))
		if _, known := d.On("n"); known != c.trusted || (len(d.Holders()) == 1) != c.trusted || d.Total != 60 {
			t.Errorf("%s: trusted %t, holders %v, total %d", name, known, d.Holders(), d.Total)
		}
		if !c.trusted && d.MissingBytes("n") != 60 {
			t.Errorf("%s: %d bytes are missing, want 60", name, d.MissingBytes("n"))
		}
	}
}

func TestDataDoesNotMoveAPodThatIsBoundToANode(t *testing.T) {
	named := func(terms ...corev1.NodeSelectorTerm) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
			}}
		}
	}
	byName := corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn,
		Values: []string{"n"}}}}
	notName := corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name",
		Operator: corev1.NodeSelectorOpNotIn, Values: []string{"n"}}}}
	byLabel := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk",
		Operator: corev1.NodeSelectorOpExists}}}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"any pod":                {func(*corev1.Pod) {}, true},
		"bound":                  {func(p *corev1.Pod) { p.Spec.NodeName = "n" }, false},
		"a DaemonSet's":          {named(byName), false},
		"by a label or name":     {named(byLabel, byName), true},
		"not on one node":        {named(notName), true},
		"no terms":               {named(), true},
		"preheat":                {func(p *corev1.Pod) { p.Labels = map[string]string{v1alpha1.LabelPreheat: "model"} }, false},
		"with its own store":     {func(p *corev1.Pod) { p.Annotations = map[string]string{v1alpha1.AnnotationStore: v1alpha1.StorePod} }, false},
		"with the node's":        {func(p *corev1.Pod) { p.Annotations = map[string]string{v1alpha1.AnnotationStore: v1alpha1.StoreNode} }, true},
		"with a rule for others": {func(p *corev1.Pod) { p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}} }, true},
	} {
		pod := &corev1.Pod{}
		c.change(pod)
		if got := Applies(pod); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// large is an index of nodes with 50 snapshots each.
func large(nodes int, o Options) *Index {
	x := NewIndex(o)
	for i := range nodes {
		name := fmt.Sprint("node-", i)
		s := store("shop", 1<<40)
		for j := range 50 {
			s.Snapshots = append(s.Snapshots, complete(1<<30, fmt.Sprintf("%032x", (i*7+j)%500)))
		}
		x.Set(nodeStore(name, s))
		x.SetNode(name, Node{UID: types.UID(name), ReadySince: since, Zone: fmt.Sprint("z", i%3)})
	}
	return x
}

func TestLookingAtANodeDoesNotAllocate(t *testing.T) {
	x := large(100, Options{CheckNodes: true})
	wants := want(fmt.Sprintf("%032x", 1), fmt.Sprintf("%032x", 2))
	d := x.Demand("shop", wants)
	holder, weights := d.Holders()[0], DefaultWeights()
	var sum int64
	if n := testing.AllocsPerRun(100, func() {
		for _, node := range []string{holder, "unknown"} {
			held, _ := d.On(node)
			sum += held.Bytes + d.MissingBytes(node) + Score(d.Facts(node, "", "z1"), weights)
			if d.Satisfied(node) {
				sum++
			}
		}
	}); n != 0 || sum == 0 {
		t.Errorf("looking at two nodes made %v allocations", n)
	}
}

func BenchmarkOn(b *testing.B) {
	d := large(1000, Options{}).Demand("shop", want(fmt.Sprintf("%032x", 1), fmt.Sprintf("%032x", 2)))
	b.ReportAllocs()
	var sum int64
	for b.Loop() {
		held, _ := d.On("node-1")
		sum += held.Bytes
	}
}

// BenchmarkDemand asks what is remembered; BenchmarkDemandAnew what is not, after
// a node has reported.
func BenchmarkDemand(b *testing.B) {
	x, wants := large(1000, Options{CheckNodes: true}), want(fmt.Sprintf("%032x", 1), fmt.Sprintf("%032x", 2))
	b.ReportAllocs()
	for b.Loop() {
		x.Demand("shop", wants)
	}
}

func BenchmarkDemandAnew(b *testing.B) {
	x, wants := large(1000, Options{CheckNodes: true}), want(fmt.Sprintf("%032x", 1), fmt.Sprintf("%032x", 2))
	report := nodeStore("another", store("shop", 1))
	b.ReportAllocs()
	for b.Loop() {
		x.Set(report)
		x.Demand("shop", wants)
	}
}
