// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"cmp"
	"hash/fnv"
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// ofSource are the reasons that would be the same on any node: a node that fails
// for one of them is as good as the next.
var ofSource = map[string]bool{
	v1alpha1.ReasonNotFound: true, v1alpha1.ReasonAccessDenied: true, v1alpha1.ReasonCredentialsMissing: true,
	v1alpha1.ReasonSourceUnreachable: true, v1alpha1.ReasonThrottled: true, v1alpha1.ReasonSourceChanged: true,
	v1alpha1.ReasonSourceUnsupported: true, v1alpha1.ReasonSourceMisconfigured: true, v1alpha1.ReasonDigestMismatch: true,
	v1alpha1.ReasonInvalidPath: true, v1alpha1.ReasonPathConflict: true, v1alpha1.ReasonPodsNotInjected: true,
}

// hasNodeFailure reports whether a node did not get the data for a reason of its own.
func (s Seat) hasNodeFailure() bool {
	return s.Phase == v1alpha1.PreheatFailed && !ofSource[s.Reason]
}

// chooseNodes chooses the nodes that are to have the data: all that take pods, or as
// many as are asked for.
func (p *planner) chooseNodes() {
	s := &p.plan.State
	order := slices.Clone(p.fit)
	if p.plan.Wanted < len(order) {
		slices.SortStableFunc(order, p.compareNodes)
		order = order[:p.plan.Wanted]
	}
	seats := make(map[string]Seat, len(order))
	for _, n := range order {
		if seat, ok := s.Seats[n.Name]; ok {
			seats[n.Name] = seat
			continue
		}
		if seat, ok := s.Passed[n.Name]; ok {
			seats[n.Name] = seat
			delete(s.Passed, n.Name)
			continue
		}
		seat := Seat{Phase: v1alpha1.PreheatPending, Since: p.Now}
		if n.hasData() {
			seat.Phase, seat.Seen = v1alpha1.PreheatReady, true
		}
		seats[n.Name] = seat
	}
	for name, seat := range s.Seats {
		if _, kept := seats[name]; !kept && seat.hasNodeFailure() {
			s.Passed[name] = seat
		}
	}
	s.Seats = seats
}

// compareNodes orders nodes: those chosen before, unless they fail for a reason of
// their own; then those that never failed, with most of the data first, then
// with most room; then those that failed least often.
func (p *planner) compareNodes(a, b *Node) int {
	x, y := p.nodeStanding(a), p.nodeStanding(b)
	return cmp.Or(
		cmp.Compare(x.class, y.class), cmp.Compare(x.attempts, y.attempts), cmp.Compare(x.phase, y.phase),
		-cmp.Compare(heldBytes(a), heldBytes(b)), -cmp.Compare(availableBytes(a), availableBytes(b)), cmp.Compare(p.hashNode(a), p.hashNode(b)),
		cmp.Compare(a.Name, b.Name),
	)
}

// standing is a node's place in the order, the lower the better.
type standing struct{ class, attempts, phase int }

func (p *planner) nodeStanding(n *Node) standing {
	if seat, ok := p.plan.State.Seats[n.Name]; ok && !seat.hasNodeFailure() {
		phases := []v1alpha1.PreheatPhase{v1alpha1.PreheatReady, v1alpha1.PreheatDownloading, v1alpha1.PreheatPending, v1alpha1.PreheatFailed}
		return standing{class: 0, phase: slices.Index(phases, seat.Phase)}
	} else if ok {
		return standing{class: 2, attempts: seat.Attempts}
	}
	if seat, ok := p.plan.State.Passed[n.Name]; ok {
		return standing{class: 2, attempts: seat.Attempts}
	}
	return standing{class: 1}
}

// heldBytes are the bytes that the node has of the data.
func heldBytes(n *Node) int64 {
	if n.Store == nil {
		return 0
	}
	return n.Store.Bytes
}

func availableBytes(n *Node) int64 {
	if n.Store == nil {
		return 0
	}
	return n.Store.Available
}

// hashNode spreads the choices of different DataSets over nodes that are alike.
func (p *planner) hashNode(n *Node) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.UID))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(n.Name))
	return h.Sum64()
}
