// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

const (
	maxNodes   = 100
	maxMessage = 1024
)

// stateOf is the state that a status tells of: what a manager that has just
// become the leader knows.
func stateOf(s *v1alpha1.PreheatStatus) State {
	state := State{Seats: map[string]Seat{}}
	if s == nil {
		return state
	}
	state.Revision, state.Request = s.Revision, ptr.Deref(s.Request, "")
	state.Cache = cacheStateOf(s.Cache)
	if s.LastScheduleTime != nil {
		state.Last = s.LastScheduleTime.Time
	}
	if s.NextScheduleTime != nil {
		state.Next = s.NextScheduleTime.Time
	}
	for _, n := range s.Nodes {
		seat := Seat{Phase: n.Phase, Reason: n.Reason, Message: n.Message}
		if n.Time != nil {
			seat.Since = n.Time.Time
		}
		if n.Phase == v1alpha1.PreheatFailed {
			seat.Attempts = 1
		}
		state.Seats[n.Node] = seat
	}
	return state
}

// statusOf is a plan for people.
func statusOf(p Plan) *v1alpha1.PreheatStatus {
	s := &v1alpha1.PreheatStatus{
		Revision: p.State.Revision, Desired: int32(p.Wanted),
		LastScheduleTime: wholeSecond(p.State.Last), NextScheduleTime: wholeSecond(p.State.Next), Cache: cacheStatus(p.State.Cache),
	}
	if p.State.Request != "" {
		s.Request = &p.State.Request
	}
	for _, name := range slices.Sorted(maps.Keys(p.State.Seats)) {
		seat := p.State.Seats[name]
		switch seat.Phase {
		case v1alpha1.PreheatReady:
			s.Ready++
		case v1alpha1.PreheatFailed:
			s.Failed++
		}
		s.Nodes = append(s.Nodes, v1alpha1.PreheatNodeStatus{
			Node: name, Phase: seat.Phase, Reason: seat.Reason, Message: shortMessage(seat.Message), Time: wholeSecond(seat.Since),
		})
	}
	order := []v1alpha1.PreheatPhase{v1alpha1.PreheatFailed, v1alpha1.PreheatDownloading, v1alpha1.PreheatPending, v1alpha1.PreheatReady}
	slices.SortStableFunc(s.Nodes, func(a, b v1alpha1.PreheatNodeStatus) int {
		return cmp.Compare(slices.Index(order, a.Phase), slices.Index(order, b.Phase))
	})
	s.Nodes = s.Nodes[:min(len(s.Nodes), maxNodes)]
	return s
}

// wholeSecond is a time as the API keeps it; nil for none.
func wholeSecond(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}

// obstacle is why no pod can be made.
type obstacle struct {
	reason, message string
}

// conditionOf says of a plan whether it is done, and else what holds it up.
func conditionOf(spec v1alpha1.Preheat, p Plan, s *v1alpha1.PreheatStatus, o *obstacle) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionPreheated, Status: metav1.ConditionFalse}
	count := fmt.Sprintf("%d of %d nodes have revision %s", s.Ready, s.Desired, s.Revision)
	switch {
	case o != nil && s.Ready < s.Desired:
		c.Reason, c.Message = o.reason, count+"; "+o.message
	case s.Failed > 0:
		n := s.Nodes[0]
		c.Reason = v1alpha1.ReasonPreheatFailed
		c.Message = fmt.Sprintf("%s; %d failed and are tried again, such as node %s: %s: %s", count, s.Failed, n.Node, n.Reason, n.Message)
	case s.Cache != nil && s.Cache.Phase == v1alpha1.PreheatFailed:
		c.Reason = v1alpha1.ReasonPreheatFailed
		c.Message = fmt.Sprintf("%s; %s, which is tried again: %s: %s", count, cacheText(s.Cache), s.Cache.Reason, s.Cache.Message)
	case p.Fit == 0:
		c.Reason, c.Message = v1alpha1.ReasonNoNodes, noNodes(spec, p)
	case len(p.State.Seats) < p.Wanted && int(s.Ready) == len(p.State.Seats):
		c.Reason = v1alpha1.ReasonNoNodes
		c.Message = fmt.Sprintf("%s; spec.preheat.replicas asks for more nodes than there are: %s", count, noNodes(spec, p))
	case s.Cache != nil && s.Cache.Phase != v1alpha1.PreheatReady:
		c.Reason, c.Message = v1alpha1.ReasonPreheating, count+"; "+cacheText(s.Cache)
	case s.Ready < s.Desired:
		c.Reason, c.Message = v1alpha1.ReasonPreheating, count
	case p.Schedule != nil:
		c.Reason = v1alpha1.ReasonInvalidSchedule
		c.Message = fmt.Sprintf("%s; it is not looked at again, because spec.preheat.schedule %q %s", count, spec.Schedule, p.Schedule)
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonPreheated, count
	}
	c.Message = shortMessage(c.Message)
	return c
}

func shortMessage(text string) string { return shorten.Text(text, maxMessage) }

func noNodes(spec v1alpha1.Preheat, p Plan) string {
	if p.Matching == 0 && len(spec.NodeSelector) == 0 {
		return "there is no node that the runtime runs on"
	}
	if p.Matching == 0 {
		return fmt.Sprintf("no node has the labels of spec.preheat.nodeSelector (%s)", labels.Set(spec.NodeSelector))
	}
	return fmt.Sprintf("%d nodes have the labels of spec.preheat.nodeSelector, and %d of them are Ready, not cordoned and without a taint "+
		"that keeps pods away",
		p.Matching, p.Fit)
}
