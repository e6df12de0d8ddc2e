// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"testing"
	"time"
)

// machine is a node that is Ready and has these addresses.
func machine(hosts ...string) Node {
	return Node{UID: "u", BootID: "boot", ReadySince: since, Hosts: hosts}
}

const gib = 1 << 30

// cachedIndex is an index of three nodes of which none has data, and one has a worker of a
// cache.
func cachedIndex(now time.Time) *Index {
	x := NewIndex(Options{CheckNodes: true, Now: func() time.Time { return now }})
	x.SetNode("worker", machine("worker", "10.0.0.1"))
	x.SetNode("other", machine("other", "10.0.0.2"))
	x.SetCache(Cache{Namespace: "shop", DataSet: "model", Observed: since, Total: 10 * gib,
		Hosts: map[string]int64{"10.0.0.1": 10 * gib, "10.9.9.9": gib}})
	return x
}

func TestANodeNearTheCacheIsWorthMoreThanOneWithNothing(t *testing.T) {
	x := cachedIndex(since)
	d := x.Demand("shop", want("a"))
	score := func(node string) int64 { return Score(d.Facts(node, "", ""), DefaultWeights()) }
	if !d.Caches() || d.CachedOn("worker") != 10*gib || d.CachedOn("other") != 0 || d.Negligible() {
		t.Errorf("%+v", d)
	}
	if score("worker") <= score("other") {
		t.Errorf("the node with the worker is worth %d, the other %d", score("worker"), score("other"))
	}
	// The data itself is worth more than any cache.
	x.Set(nodeStore("other", store("shop", 0, complete(10*gib, "a"))))
	if d = x.Demand("shop", want("a")); score("other") <= score("worker") {
		t.Errorf("the node with the data is worth %d, the one with the worker %d", score("other"), score("worker"))
	}
}

func TestCachesOfOthersDoNotCount(t *testing.T) {
	x := cachedIndex(since)
	elsewhere := want("a")
	elsewhere[0].DataSet = "other"
	for name, d := range map[string]*Demand{
		"another namespace": x.Demand("other", want("a")),
		"another DataSet":   x.Demand("shop", elsewhere),
	} {
		if d.Caches() || d.CachedOn("worker") != 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestWhatACacheHoldsIsForgotten(t *testing.T) {
	for name, change := range map[string]func(*Index){
		"the DataSet is gone": func(x *Index) { x.SetCache(Cache{Namespace: "shop", DataSet: "model"}) },
		"the node is gone":    func(x *Index) { x.DeleteNode("worker") },
		"the address is another's": func(x *Index) {
			x.SetNode("worker", machine("worker"))
			x.SetNode("other", machine("other", "10.0.0.1"))
		},
	} {
		x := cachedIndex(since)
		if x.Demand("shop", want("a")).CachedOn("worker") == 0 {
			t.Fatalf("%s: nothing is known before", name)
		}
		change(x)
		if n := x.Demand("shop", want("a")).CachedOn("worker"); n != 0 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
	if d := cachedIndex(since.Add(CacheLimit+time.Second)).Demand("shop", want("a")); d.Caches() {
		t.Error("what was so a day ago is believed")
	}
}

func TestTheSameWordOfACacheChangesNoAnswer(t *testing.T) {
	x := cachedIndex(since)
	before := x.Demand("shop", want("a"))
	x.SetCache(Cache{Namespace: "shop", DataSet: "model", Observed: since, Total: 10 * gib,
		Hosts: map[string]int64{"10.0.0.1": 10 * gib, "10.9.9.9": gib}})
	x.SetCache(Cache{Namespace: "shop", DataSet: "unheard"})
	if x.Demand("shop", want("a")) != before {
		t.Error("the answer was computed again")
	}
}
