// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
)

// reasonCachesUnknown: the pod that was to fill the caches ended without a word of them.
const reasonCachesUnknown = "CachesUnknown"

// FillerName is the name of the pod that fills the caches with a revision. Its node is to
// have the data, too, and may have another pod of the preheat.
func FillerName(dataSet string, uid types.UID, node, revision string) string {
	return PodName(dataSet, uid, "cache\n"+node, revision)
}

// judgeCaches says how far the caches are, by the pod that fills them.
func (p *planner) judgeCaches() {
	c := &p.plan.State.Cache
	if !p.Spec.Cache {
		*c = CacheState{}
		return
	}
	again := p.due || p.plan.Retry && c.Phase == v1alpha1.PreheatFailed
	if c.Phase == "" || again {
		*c = CacheState{Seat: Seat{Phase: v1alpha1.PreheatPending, Since: p.Now}, Node: c.Node}
	}
	if !slices.ContainsFunc(p.fit, func(n *Node) bool { return n.Name == c.Node }) {
		c.Node = ""
	}
	pod := p.pods[FillerName(p.DataSet, p.UID, c.Node, p.Revision)]
	if c.Node == "" || pod == nil || c.Phase == v1alpha1.PreheatReady {
		return
	}
	fill := cmp.Or(pod.Data, &Delivery{}).Fill
	if !pod.Created.After(c.Since) && c.Phase == v1alpha1.PreheatFailed {
		return // what came of this pod is known
	}
	c.Held, c.Total, c.Holders = fill.Held, fill.Total, fill.Holders
	switch {
	case fill.isFull():
		c.Seat = p.readySeat(c.Seat)
	case fill.Done:
		c.Seat = p.failedSeat(c.Seat, cmp.Or(fill.Reason, v1alpha1.ReasonCacheIncomplete), fill.Message)
	default:
		next := p.judgePod(pod, c.Seat)
		if next.Phase == v1alpha1.PreheatReady {
			next = p.failedSeat(c.Seat, reasonCachesUnknown, "the pod "+pod.Name+" ended before it said what the caches hold")
		}
		c.Seat = next
	}
}

// awaitsCaches reports whether nodes wait for the caches to be filled: those that cannot be
// are not waited for while that is tried again.
func (p *planner) awaitsCaches() bool {
	c := p.plan.State.Cache
	return p.Spec.Cache && c.Phase != v1alpha1.PreheatReady && c.Attempts == 0
}

// planFiller returns the name of the pod that fills the caches, which is made if there is
// none; empty when there is to be none.
func (p *planner) planFiller() string {
	c := &p.plan.State.Cache
	underway := c.Phase == v1alpha1.PreheatPending || c.Phase == v1alpha1.PreheatDownloading
	if !underway && (c.Phase != v1alpha1.PreheatFailed || !p.retryDue(c.Seat)) {
		return ""
	}
	if c.Node == "" || c.Phase == v1alpha1.PreheatFailed {
		c.Node = p.chooseFiller(c.Node)
	}
	if c.Node == "" {
		return ""
	}
	name := FillerName(p.DataSet, p.UID, c.Node, p.Revision)
	switch {
	case p.pods[name] != nil && c.Phase == v1alpha1.PreheatFailed:
		return "" // it goes first
	case p.pods[name] != nil:
		return name
	case p.Now.Before(p.Held):
		p.wakeAt(p.Held)
		return name
	}
	c.Seat = p.setPhase(c.Seat, v1alpha1.PreheatPending, "", "")
	p.plan.Fill = c.Node
	return name
}

// chooseFiller chooses a node that is to have the data for the pod that fills the caches,
// another than the last one where there is one; "" where none can take it.
func (p *planner) chooseFiller(last string) string {
	var nodes []*Node
	for _, n := range p.fit {
		if _, ok := p.plan.State.Seats[n.Name]; ok {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) == 0 {
		return ""
	}
	failed := func(n *Node) int {
		seat := p.plan.State.Seats[n.Name]
		rank := seat.Attempts
		if n.Name == last {
			rank++
		}
		return rank
	}
	return slices.MinFunc(nodes, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(failed(a), failed(b)), cmp.Compare(heldBytes(a), heldBytes(b)), cmp.Compare(p.hashNode(a), p.hashNode(b)))
	}).Name
}

// fillOf is what a pod's Data says of the caches.
func fillOf(d *v1alpha1.Data) Fill {
	if !d.Spec.FillCache || d.Status.ObservedRevision != d.Spec.Revision {
		return Fill{}
	}
	f := Fill{Done: len(d.Status.DataItemsStatus) > 0}
	holders := map[string]int64{}
	for i := range d.Status.DataItemsStatus {
		c := d.Status.DataItemsStatus[i].CacheFill
		if c == nil {
			f.Done = false
			continue
		}
		for _, h := range c.Holders {
			holders[h.Host] += h.Bytes
		}
		f.Held, f.Total, f.Done = f.Held+c.HeldBytes, f.Total+c.TotalBytes, f.Done && c.Done
		if c.HeldBytes < c.TotalBytes && c.Reason != "" {
			f.Reason, f.Message = cmp.Or(f.Reason, c.Reason), cmp.Or(f.Message, c.Message)
		}
	}
	f.Holders = mostHolders(holders)
	return f
}

// maxHolders is how many hosts the status names.
const maxHolders = 32

// mostHolders returns those that hold most, the most first.
func mostHolders(bytes map[string]int64) []v1alpha1.CacheHolder {
	var list []v1alpha1.CacheHolder
	for host, n := range bytes {
		list = append(list, v1alpha1.CacheHolder{Host: host, Bytes: n})
	}
	slices.SortFunc(list, func(a, b v1alpha1.CacheHolder) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Host, b.Host))
	})
	return list[:min(len(list), maxHolders)]
}

// cacheStatus is how far the caches are, for people; nil where they are not to be filled.
func cacheStatus(c CacheState) *v1alpha1.PreheatCacheStatus {
	if c.Phase == "" {
		return nil
	}
	return &v1alpha1.PreheatCacheStatus{
		Phase: c.Phase, Node: c.Node, HeldBytes: c.Held, TotalBytes: c.Total, Holders: c.Holders,
		Reason: c.Reason, Message: shortMessage(c.Message), Time: wholeSecond(c.Since),
	}
}

// cacheStateOf is the state that a status tells of.
func cacheStateOf(s *v1alpha1.PreheatCacheStatus) CacheState {
	if s == nil {
		return CacheState{}
	}
	c := CacheState{Node: s.Node, Held: s.HeldBytes, Total: s.TotalBytes, Holders: s.Holders,
		Seat: Seat{Phase: s.Phase, Reason: s.Reason, Message: s.Message}}
	if s.Time != nil {
		c.Since = s.Time.Time
	}
	if s.Phase == v1alpha1.PreheatFailed {
		c.Attempts = 1
	}
	return c
}

// cacheText says what the caches hold.
func cacheText(s *v1alpha1.PreheatCacheStatus) string {
	return "the caches hold " + bytesize.Text(s.HeldBytes) + " of " + bytesize.Text(s.TotalBytes)
}
