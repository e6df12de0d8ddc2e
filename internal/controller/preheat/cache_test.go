// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func withCache(in *Input) { in.Spec.Cache = true }

// fillerOn is the pod that fills the caches from a node.
func fillerOn(node string, fill Fill, change ...func(*Pod)) Pod {
	p := podOn(node, change...)
	p.Name = FillerName("model", "u", node, "r1")
	p.Created = start.Add(time.Second)
	p.Data = &Delivery{Reported: true, Fill: fill}
	return p
}

// followPlan plans with what the last plan remembers.
func followPlan(last Plan, nodes []Node, change ...func(*Input)) Plan {
	return Decide(newInput(nodes, append([]func(*Input){withCache, func(in *Input) { in.State = last.State }}, change...)...))
}

func TestTheCachesAreFilledByOnePodBeforeTheNodesBegin(t *testing.T) {
	nodes := namedNodes("a", "b", "c")
	p := Decide(newInput(nodes, withCache))
	if p.Fill == "" || len(p.Create) != 0 || p.State.Cache.Phase != v1alpha1.PreheatPending {
		t.Fatalf("at first: fill %q, create %v, %+v", p.Fill, p.Create, p.State.Cache)
	}
	for name, seat := range p.State.Seats {
		if seat.Reason != v1alpha1.ReasonWaiting || !strings.Contains(seat.Message, "caches") {
			t.Errorf("%s: %+v", name, seat)
		}
	}
	node := p.Fill
	p = followPlan(p, nodes, withPods(fillerOn(node, Fill{Held: 3, Total: 10})), afterDelay(time.Minute))
	if p.Fill != "" || len(p.Create)+len(p.Delete) != 0 || p.State.Cache.Phase != v1alpha1.PreheatDownloading || p.State.Cache.Held != 3 {
		t.Fatalf("on the way: %+v", p)
	}
	// The last byte is there, but not every item was looked at.
	p = followPlan(p, nodes, withPods(fillerOn(node, Fill{Held: 10, Total: 10})), afterDelay(time.Minute))
	if p.State.Cache.Phase != v1alpha1.PreheatDownloading || len(p.Create) != 0 {
		t.Fatalf("before the end: %+v", p.State.Cache)
	}
	// As long as that pod is there, it is one of those that may be there at a time.
	filler := fillerOn(node, Fill{Held: 12, Total: 12, Done: true})
	p = followPlan(p, nodes, withPods(filler), afterDelay(time.Minute))
	if p.State.Cache.Phase != v1alpha1.PreheatReady || len(p.Create) != minPods-1 || cmp.Diff([]string{filler.Name}, p.Delete) != "" {
		t.Fatalf("full: %+v, create %v, delete %v", p.State.Cache, p.Create, p.Delete)
	}
	if p = followPlan(p, nodes, afterDelay(time.Hour)); p.Fill != "" {
		t.Error("full caches are filled again")
	}
}

func TestCachesThatCannotBeFilledAreTriedAgainAndHoldUpNoNode(t *testing.T) {
	nodes := namedNodes("a", "b")
	first := Decide(newInput(nodes, withCache))
	short := Fill{Held: 5, Total: 10, Done: true, Reason: v1alpha1.ReasonCacheIncomplete, Message: "give it more room"}
	for name, c := range map[string]struct {
		pod    Pod
		reason string
	}{
		"they hold less":          {fillerOn(first.Fill, short), v1alpha1.ReasonCacheIncomplete},
		"the pod failed":          {fillerOn(first.Fill, Fill{}, withPhase(corev1.PodFailed)), reasonPodFailed},
		"the pod said nothing":    {fillerOn(first.Fill, Fill{}, withPhase(corev1.PodSucceeded)), reasonCachesUnknown},
		"the pod was deleted":     {fillerOn(first.Fill, Fill{}, beingDeleted), reasonPodDeleted},
		"the pod is not injected": {fillerOn(first.Fill, Fill{}, func(p *Pod) { p.Injected = false }), v1alpha1.ReasonPodsNotInjected},
	} {
		p := followPlan(first, nodes, withPods(c.pod), afterDelay(time.Minute))
		if got := p.State.Cache; got.Phase != v1alpha1.PreheatFailed || got.Reason != c.reason || p.Fill != "" {
			t.Errorf("%s: %+v, fill %q", name, got, p.Fill)
		}
		if len(p.Create) != 2 {
			t.Errorf("%s: pods for %v", name, p.Create)
		}
		p = followPlan(p, nodes, afterDelay(time.Minute+minBackoff))
		if p.Fill == "" || p.Fill == first.Fill || p.State.Cache.Phase != v1alpha1.PreheatPending {
			t.Errorf("%s: then on %q, after %q: %+v", name, p.Fill, first.Fill, p.State.Cache)
		}
	}
}

func TestCachesAreLookedAtAgainWithANewRevisionAndOnSchedule(t *testing.T) {
	nodes := namedNodes("a")
	full := CacheState{Seat: Seat{Phase: v1alpha1.PreheatReady, Since: start}, Node: "a", Held: 5, Total: 5}
	ready := func(in *Input) {
		withSeats(v1alpha1.PreheatReady, "a")(in)
		in.State.Cache = full
	}
	if p := Decide(newInput(nodes, withCache, ready)); p.Fill != "" {
		t.Error("full caches are filled again")
	}
	if p := Decide(newInput(nodes, withCache, ready, func(in *Input) { in.Revision = "r2" })); p.Fill != "a" {
		t.Errorf("a new revision: %+v", p.State.Cache)
	}
	p := Decide(newInput(nodes, withCache, ready, func(in *Input) {
		in.Spec.Schedule, in.State.Next = "0 * * * *", start
	}))
	if p.Fill != "a" || p.State.Cache.Phase != v1alpha1.PreheatPending {
		t.Errorf("on schedule: fill %q, %+v", p.Fill, p.State.Cache)
	}
	if p := Decide(newInput(nodes, ready)); p.State.Cache.Phase != "" || p.Fill != "" {
		t.Errorf("without cache: %+v", p.State.Cache)
	}
}

func TestTheStatusSaysHowFarTheCachesAre(t *testing.T) {
	plan := planOf(v1alpha1.PreheatReady)
	plan.State.Cache = CacheState{Seat: Seat{Phase: v1alpha1.PreheatFailed, Reason: "CacheIncomplete", Message: "more room", Since: start},
		Node: "a", Held: 1 << 30, Total: 2 << 30}
	s := statusOf(plan)
	c := conditionOf(v1alpha1.Preheat{Cache: true}, plan, s, nil)
	if c.Reason != v1alpha1.ReasonPreheatFailed || !strings.Contains(c.Message, "1.0 GiB of 2.0 GiB") ||
		!strings.Contains(c.Message, "more room") {
		t.Errorf("got %+v", c)
	}
	restored := stateOf(s).Cache
	if restored.Phase != v1alpha1.PreheatFailed || restored.Held != 1<<30 || restored.Node != "a" || !restored.Since.Equal(start) {
		t.Errorf("the next leader knows %+v", restored)
	}
	plan.State.Cache.Phase = v1alpha1.PreheatDownloading
	if c := conditionOf(v1alpha1.Preheat{Cache: true}, plan, statusOf(plan), nil); c.Reason != v1alpha1.ReasonPreheating {
		t.Errorf("on the way: %+v", c)
	}
}

func TestOnlyCachesOfAllItemsMakeAFillDone(t *testing.T) {
	item := func(c *v1alpha1.CacheFill) v1alpha1.DataItemStatus { return v1alpha1.DataItemStatus{CacheFill: c} }
	d := &v1alpha1.Data{Spec: v1alpha1.DataSpec{FillCache: true, Revision: "r1"}, Status: v1alpha1.DataStatus{ObservedRevision: "r1"}}
	if fillOf(d).Done {
		t.Error("done without an item")
	}
	d.Status.DataItemsStatus = []v1alpha1.DataItemStatus{item(&v1alpha1.CacheFill{HeldBytes: 5, TotalBytes: 5, Done: true}), item(nil)}
	if f := fillOf(d); f.Done || f.Held != 5 {
		t.Errorf("with one that says nothing: %+v", f)
	}
	d.Status.DataItemsStatus[1] = item(&v1alpha1.CacheFill{HeldBytes: 1, TotalBytes: 2, Done: true, Reason: "CacheFailed"})
	if f := fillOf(d); !f.Done || f.isFull() || f.Reason != "CacheFailed" {
		t.Errorf("with one that is short: %+v", f)
	}
	d.Status.ObservedRevision = "r0"
	if f := fillOf(d); f.Done || f.Total != 0 {
		t.Errorf("of another revision: %+v", f)
	}
}
