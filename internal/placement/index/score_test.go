// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestANodeWithTheDataScoresHigher(t *testing.T) {
	const g = 1 << 30
	worst := Facts{Total: g, Held: g, Downloads: 100, Pods: 30, MostPods: 30}
	best := Facts{Total: g, Rack: g, Zone: g, MostPods: 30}
	if a, b := Score(worst, DefaultWeights()), Score(best, DefaultWeights()); a <= b {
		t.Errorf("a busy node with all of the data has %d, an idle one without %d", a, b)
	}
	for name, c := range map[string]struct{ better, worse Facts }{
		"more bytes":             {Facts{Total: g, Held: g / 2}, Facts{Total: g, Held: g / 4}},
		"on their way":           {Facts{Total: g, Downloading: g}, Facts{Total: g}},
		"there, not on the way":  {Facts{Total: g, Held: g}, Facts{Total: g, Downloading: g}},
		"same zone":              {Facts{Total: g, Zone: g}, Facts{Total: g}},
		"same rack":              {Facts{Total: g, Rack: g}, Facts{Total: g}},
		"fewer downloads":        {Facts{Total: g, Downloads: 1}, Facts{Total: g, Downloads: 3}},
		"fewer pods":             {Facts{Total: g, Pods: 1, MostPods: 4}, Facts{Total: g, Pods: 4, MostPods: 4}},
		"sizes beyond any disk":  {Facts{Total: math.MaxInt64, Held: math.MaxInt64}, Facts{Total: math.MaxInt64, Held: math.MaxInt64 / 2}},
		"a sum that overflowed":  {Facts{Total: g, Held: g}, Facts{Total: math.MinInt64, Held: g}},
		"nothing is known of it": {Facts{Total: g, Held: 1 << 26}, Facts{Total: 0}},
	} {
		if a, b := Score(c.better, DefaultWeights()), Score(c.worse, DefaultWeights()); a <= b {
			t.Errorf("%s: %d is not more than %d", name, a, b)
		}
	}
}

func TestAScoreStaysInItsRange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	extreme := func() int64 {
		return []int64{0, 1, r.Int64N(1 << 40), math.MaxInt64, -1, math.MinInt64}[r.IntN(6)]
	}
	for range 10000 {
		f := Facts{
			Total: extreme(), Held: extreme(), Downloading: extreme(), Rack: extreme(), Zone: extreme(),
			Downloads: r.IntN(1000), Pods: r.IntN(100), MostPods: r.IntN(100),
		}
		w := Weights{Node: r.Int64N(101), Rack: r.Int64N(101), Zone: r.Int64N(101), Downloads: r.Int64N(101), Spread: r.Int64N(101)}
		if s := Score(f, w); s < 0 || s > MaxScore {
			t.Fatalf("%+v with %+v: got %d", f, w, s)
		}
	}
	if Score(Facts{Total: 1, Held: 1}, Weights{}) != 0 || Score(Facts{Total: 1, Held: 1}, Weights{Node: 1}) != MaxScore {
		t.Error("the ends of the range are not reached")
	}
}

func TestPreferencesAreByShareOfBytes(t *testing.T) {
	x := index(Options{}, nodeStore("all", store("shop", 0, complete(600, "m"), complete(400, "n"))),
		nodeStore("most", store("shop", 0, complete(600, "m"))), nodeStore("little", store("shop", 0, complete(1, "o"))),
		nodeStore("soon", store("shop", 0, downloading(600, "m"))))
	got := Preferences(x.Demand("shop", want("m", "n", "o")), MaxPreferences, 1)
	if diff := cmp.Diff([]Preference{{"all", 99}, {"most", 59}, {"little", 1}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	x = index(Options{}, nodeStore("a", store("shop", 0, complete(0, "m"), complete(0, "n"))),
		nodeStore("b", store("shop", 0, complete(0, "n"))))
	if diff := cmp.Diff([]Preference{{"a", 100}, {"b", 50}}, Preferences(x.Demand("shop", want("m", "n")), MaxPreferences, 1)); diff != "" {
		t.Errorf("empty items (-want +got)\n%s", diff)
	}
	if got := Preferences(x.Demand("shop", want("unknown")), MaxPreferences, 1); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestPodsSpreadTheirPreferencesOverManyNodes(t *testing.T) {
	const nodes, pods = 100, 1000
	x := NewIndex(Options{})
	x.Set(nodeStore("best", store("shop", 0, complete(100, "m"), complete(100, "n"))))
	for i := range nodes {
		x.Set(nodeStore(fmt.Sprint("node-", i), store("shop", 0, complete(100, "m"))))
	}
	d := x.Demand("shop", want("m", "n"))
	chosen := map[string]int{}
	for seed := range uint64(pods) {
		list := Preferences(d, MaxPreferences, seed)
		if len(list) != MaxPreferences || list[0] != (Preference{"best", 100}) {
			t.Fatalf("got %d, first %v", len(list), list[0])
		}
		for _, p := range list[1:] {
			chosen[p.Node]++
		}
		if diff := cmp.Diff(list, Preferences(d, MaxPreferences, seed)); diff != "" {
			t.Fatalf("one seed, two lists: %s", diff)
		}
	}
	for i := range nodes { // 150 each on average
		if n := chosen[fmt.Sprint("node-", i)]; n < 90 || n > 220 {
			t.Errorf("node-%d is preferred by %d of %d pods", i, n, pods)
		}
	}
}

func BenchmarkScore(b *testing.B) {
	f := Facts{Total: 1 << 30, Held: 1 << 29, Zone: 1 << 30, Downloads: 2, Pods: 3, MostPods: 7}
	w := DefaultWeights()
	b.ReportAllocs()
	var sum int64
	for b.Loop() {
		sum += Score(f, w)
	}
}

func BenchmarkPreferences(b *testing.B) {
	d := large(1000, Options{}).Demand("shop", want(fmt.Sprintf("%032x", 1), fmt.Sprintf("%032x", 2)))
	b.ReportAllocs()
	var seed uint64
	for b.Loop() {
		seed++
		Preferences(d, MaxPreferences, seed)
	}
}
