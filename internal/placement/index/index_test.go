// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

var since = time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)

func nodeStore(node string, stores ...v1alpha1.NamespaceStore) *v1alpha1.NodeStore {
	return &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: node}, Status: v1alpha1.NodeStoreStatus{Stores: stores}}
}

func store(namespace string, available int64, snapshots ...v1alpha1.StoredSnapshot) v1alpha1.NamespaceStore {
	return v1alpha1.NamespaceStore{
		Namespace: namespace, StoreID: "s", BootID: "boot", ObservedTime: metav1.NewTime(since), AvailableBytes: available, Snapshots: snapshots,
	}
}

func complete(bytes int64, marks ...string) v1alpha1.StoredSnapshot {
	return v1alpha1.StoredSnapshot{ID: "x", Marks: marks, Bytes: bytes, Phase: v1alpha1.SnapshotComplete}
}

func downloading(bytes int64, marks ...string) v1alpha1.StoredSnapshot {
	return v1alpha1.StoredSnapshot{ID: "x", Marks: marks, Bytes: bytes, Phase: v1alpha1.SnapshotDownloading}
}

func index(o Options, stores ...*v1alpha1.NodeStore) *Index {
	x := NewIndex(o)
	for _, s := range stores {
		x.Set(s)
	}
	return x
}

func want(marks ...string) []Want {
	var wants []Want
	for i, m := range marks {
		wants = append(wants, Want{Mark: m, DataSet: "model", Item: fmt.Sprintf("default/%d", i), Version: "v1"})
	}
	return wants
}

// world is what an index was told, as plain maps.
type world struct {
	options Options
	stores  map[string]*v1alpha1.NodeStore
	nodes   map[string]Node
}

func (w *world) anew() *Index {
	x := NewIndex(w.options)
	for _, s := range w.stores {
		x.Set(s)
	}
	for name, n := range w.nodes {
		x.SetNode(name, n)
	}
	return x
}

func randomStore(r *rand.Rand, node string) *v1alpha1.NodeStore {
	s := nodeStore(node)
	if r.IntN(2) == 0 {
		s.OwnerReferences = []metav1.OwnerReference{{Kind: "Node", Name: node, UID: types.UID(fmt.Sprint("u", r.IntN(2)))}}
	}
	for _, namespace := range []string{"a", "b"} {
		if r.IntN(3) == 0 {
			continue
		}
		one := store(namespace, r.Int64N(1000))
		one.BootID, one.ObservedTime = fmt.Sprint("boot", r.IntN(2)), metav1.NewTime(since.Add(time.Duration(r.IntN(4))*time.Second))
		for range r.IntN(5) {
			snapshot := complete(r.Int64N(100), fmt.Sprint("m", r.IntN(6)))
			if r.IntN(3) == 0 {
				snapshot = downloading(r.Int64N(100), fmt.Sprint("m", r.IntN(6)), fmt.Sprint("m", r.IntN(6)))
			}
			one.Snapshots = append(one.Snapshots, snapshot)
		}
		s.Status.Stores = append(s.Status.Stores, one)
	}
	return s
}

func randomNode(r *rand.Rand) Node {
	n := Node{UID: types.UID(fmt.Sprint("u", r.IntN(2))), BootID: fmt.Sprint("boot", r.IntN(2)), Zone: fmt.Sprint("z", r.IntN(2)),
		Rack: fmt.Sprint("r", r.IntN(2))}
	if r.IntN(4) > 0 {
		n.ReadySince = since.Add(time.Duration(r.IntN(4)) * time.Second)
	}
	return n
}

func TestTheIndexDependsOnlyOnItsPresentObjects(t *testing.T) {
	questions := [][]Want{want("m0"), want("m1", "m2", "m1"), want("m3", "m4", "m5"), {{Mark: "m0", Required: true}, {Mark: "m1"}}, nil}
	internals := cmp.Options{
		cmp.AllowUnexported(Demand{}, Held{}, room{}, nodeEntry{}, storeEntry{}, holding{}, key{}), cmpopts.EquateEmpty(),
		cmp.AllowUnexported(Node{}),
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := world{options: Options{CheckNodes: r.IntN(2) == 0}, stores: map[string]*v1alpha1.NodeStore{}, nodes: map[string]Node{}}
		x := NewIndex(w.options)
		for range 40 {
			node := fmt.Sprint("n", r.IntN(5))
			switch r.IntN(8) {
			case 0:
				x.Delete(node)
				delete(w.stores, node)
			case 1:
				x.DeleteNode(node)
				delete(w.nodes, node)
			case 2, 3, 4:
				w.nodes[node] = randomNode(r)
				x.SetNode(node, w.nodes[node])
			default:
				w.stores[node] = randomStore(r, node)
				x.Set(w.stores[node])
			}
			fresh := w.anew()
			for _, namespace := range []string{"a", "b", "none"} {
				q := questions[r.IntN(len(questions))]
				if diff := cmp.Diff(fresh.Demand(namespace, q), x.Demand(namespace, q), internals); diff != "" {
					t.Fatalf("seed %d, namespace %s, %v: (-anew +got)\n%s", seed, namespace, q, diff)
				}
			}
			if diff := cmp.Diff(fresh.holders, x.holders, internals) + cmp.Diff(fresh.stores, x.stores, internals) +
				cmp.Diff(fresh.nodes, x.nodes, internals); diff != "" {
				t.Fatalf("seed %d: (-anew +got)\n%s", seed, diff)
			}
		}
	}
}

func TestADemandIsCachedUntilItsNamespaceOrNodesChange(t *testing.T) {
	x := index(Options{}, nodeStore("n1", store("a", 10, complete(5, "m"))), nodeStore("n2", store("b", 10, complete(5, "m"))))
	first := x.Demand("a", want("m"))
	x.Set(nodeStore("n2", store("b", 20)))
	if x.Demand("a", want("m")) != first {
		t.Error("a change in another namespace made the question be answered again")
	}
	required := want("m")
	required[0].Required = true
	if d := x.Demand("a", required); d.Required != 1 {
		t.Error("the answer to Prefer was given to Require")
	}
	x.SetNode("n1", Node{Zone: "z"})
	if d := x.Demand("a", want("m")); d == first || d.Zone("z") != 5 {
		t.Error("the node's new zone is not in the answer")
	}
	x.Delete("n1")
	if d := x.Demand("a", want("m")); len(d.Holders()) != 0 || d.Total != 0 {
		t.Errorf("what is gone is still there: %+v", d)
	}
}

func TestTheNumberOfCachedDemandsIsBounded(t *testing.T) {
	x := NewIndex(Options{})
	for i := range 2 * maxAnswers {
		x.Demand("a", want(fmt.Sprint(i)))
		x.Demand(fmt.Sprint(i), want("m"))
	}
	if len(x.answers) > maxAnswers || len(x.answers["a"].demands) > maxAnswers {
		t.Errorf("%d namespaces and %d answers are remembered", len(x.answers), len(x.answers["a"].demands))
	}
}

func TestTheIndexIsSafeForConcurrentUse(t *testing.T) {
	x := NewIndex(Options{CheckNodes: true})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range 500 {
				node := fmt.Sprint("n", r.IntN(3))
				x.Set(randomStore(r, node))
				x.SetNode(node, randomNode(r))
				d := x.Demand("a", want("m1", "m2"))
				for _, holder := range d.Holders() {
					if h, known := d.On(holder); !known || h.Items == 0 {
						t.Errorf("%s is a holder of nothing", holder)
					}
				}
				x.Delete(fmt.Sprint("n", r.IntN(3)))
			}
		})
	}
	wg.Wait()
}

func TestANodeThatSaysTheSameAgainChangesNoAnswer(t *testing.T) {
	x := index(Options{}, nodeStore("a", store("shop", 10, complete(5, "m")), store("bank", 10, complete(5, "m"))))
	shop, bank := x.Demand("shop", want("m")), x.Demand("bank", want("m"))
	again := nodeStore("a", store("shop", 10, complete(5, "m")), store("bank", 10, complete(5, "m"), complete(7, "n")))
	again.Status.Stores[0].ObservedTime = metav1.NewTime(since.Add(time.Minute))
	x.Set(again)
	if x.Demand("shop", want("m")) != shop {
		t.Error("a namespace whose store is as before was computed again")
	}
	if x.Demand("bank", want("m")) == bank {
		t.Error("a namespace whose store changed was not computed again")
	}
	for name, change := range map[string]*v1alpha1.NodeStore{
		"room":        nodeStore("a", store("shop", 11, complete(5, "m"))),
		"bytes":       nodeStore("a", store("shop", 10, complete(6, "m"))),
		"phase":       nodeStore("a", store("shop", 10, downloading(5, "m"))),
		"other bytes": nodeStore("a", store("shop", 10, complete(5, "o"))),
		"no store":    nodeStore("a"),
	} {
		x.Set(nodeStore("a", store("shop", 10, complete(5, "m"))))
		before := x.Demand("shop", want("m"))
		x.Set(change)
		if x.Demand("shop", want("m")) == before {
			t.Errorf("%s: the answer is that of before", name)
		}
	}
}

// BenchmarkRepeatedStore has one of many nodes say again what it holds, and a pod ask after it.
func BenchmarkRepeatedStore(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			x := NewIndex(Options{})
			for n := range nodes {
				x.Set(nodeStore(fmt.Sprint("node-", n), store("shop", 10, complete(5, "m"))))
			}
			wants := want("m")
			b.ReportAllocs()
			for b.Loop() {
				x.Set(nodeStore("node-0", store("shop", 10, complete(5, "m"))))
				x.Demand("shop", wants)
			}
		})
	}
}
