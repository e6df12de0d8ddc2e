// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/schedule"
)

// How many pods one DataSet has at a time: a share of its nodes, so that the
// source is not asked by all at once, but not too few to get on.
const (
	minPods  = 3
	podShare = 10
)

// planner is one run of Decide.
type planner struct {
	Input
	fit  []*Node
	pods map[string]*Pod
	// due: the schedule came round.
	due  bool
	plan Plan
}

// Decide plans. It depends on nothing but its input.
func Decide(in Input) Plan {
	p := &planner{Input: in, pods: make(map[string]*Pod, len(in.Pods))}
	for i := range in.Pods {
		p.pods[in.Pods[i].Name] = &in.Pods[i]
	}
	p.restoreState()
	p.applySchedule()
	p.findNodes()
	p.judgeSeats()
	p.chooseNodes()
	p.judgeCaches()
	p.planPods()
	return p.plan
}

// restoreState takes over the stored state. With another revision everything is anew,
// on the same nodes as far as they still qualify.
func (p *planner) restoreState() {
	s := State{Revision: p.Revision, Seats: maps.Clone(p.State.Seats), Passed: maps.Clone(p.State.Passed),
		Cache: p.State.Cache, Last: p.State.Last, Next: p.State.Next, Request: p.State.Request}
	if s.Seats == nil {
		s.Seats = map[string]Seat{}
	}
	if s.Passed == nil {
		s.Passed = map[string]Seat{}
	}
	if p.State.Revision != p.Revision {
		clear(s.Passed)
		s.Cache = CacheState{}
		for name := range s.Seats {
			s.Seats[name] = Seat{Phase: v1alpha1.PreheatPending, Since: p.Now}
		}
	}
	if p.Request != "" && p.Request != s.Request {
		p.plan.Retry, s.Request = true, p.Request
		p.Held = time.Time{}
	}
	p.plan.State = s
}

// applySchedule reports whether the schedule came round.
func (p *planner) applySchedule() {
	s := &p.plan.State
	if p.Spec.Schedule == "" {
		s.Last, s.Next = time.Time{}, time.Time{}
		return
	}
	times, err := schedule.Parse(p.Spec.Schedule)
	if err != nil {
		p.plan.Schedule, s.Next = err, time.Time{}
		return
	}
	switch {
	case s.Next.IsZero() || !times.Has(s.Next):
		s.Next = times.After(p.Now) // new, or another schedule than before
	case !p.Now.Before(s.Next):
		p.due, s.Last, s.Next = true, s.Next, times.After(p.Now)
	}
	p.wakeAt(s.Next)
}

// findNodes finds the nodes that take pods.
func (p *planner) findNodes() {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if !n.matchesSelector(p.Spec.NodeSelector) {
			continue
		}
		p.plan.Matching++
		if n.Ready && !n.Cordoned && !n.Tainted {
			p.fit = append(p.fit, n)
		}
	}
	slices.SortFunc(p.fit, func(a, b *Node) int { return cmp.Compare(a.Name, b.Name) })
	p.plan.Fit = len(p.fit)
	p.plan.Wanted = len(p.fit)
	if p.Spec.Replicas != nil {
		p.plan.Wanted = int(*p.Spec.Replicas)
	}
}

func (n *Node) matchesSelector(selector map[string]string) bool {
	if n.Labels[corev1.LabelOSStable] == string(corev1.Windows) {
		return false // the runtime does not run there
	}
	for key, want := range selector {
		if have, ok := n.Labels[key]; !ok || have != want {
			return false
		}
	}
	return true
}

// judgeSeats says anew of each node how far it is. What is no node any more, or takes
// no pods, is forgotten.
func (p *planner) judgeSeats() {
	s := &p.plan.State
	before, passed := s.Seats, s.Passed
	s.Seats, s.Passed = map[string]Seat{}, map[string]Seat{}
	for _, n := range p.fit {
		if seat, ok := before[n.Name]; ok {
			s.Seats[n.Name] = p.judgeSeat(n, seat)
		} else if seat, ok := passed[n.Name]; ok && !n.hasData() {
			s.Passed[n.Name] = seat
		}
		if seat, ok := s.Seats[n.Name]; ok && p.plan.Retry && seat.Phase == v1alpha1.PreheatFailed {
			seat.Retry, seat.Attempts = true, 1
			s.Seats[n.Name] = seat
		}
	}
}

// planPods decides which pods are made and removed.
func (p *planner) planPods() {
	s := &p.plan.State
	busy := p.countDownloading()
	needed := map[string]bool{}
	var ready []*Node
	for _, n := range p.fit {
		seat, ok := s.Seats[n.Name]
		if !ok {
			continue
		}
		name := PodName(p.DataSet, p.UID, n.Name, p.Revision)
		underway := seat.Phase == v1alpha1.PreheatPending || seat.Phase == v1alpha1.PreheatDownloading
		needed[name] = underway
		retry := seat.Phase == v1alpha1.PreheatFailed && p.retryDue(seat)
		if p.pods[name] == nil && (underway || retry) {
			ready = append(ready, n)
		}
	}
	slices.SortStableFunc(ready, func(a, b *Node) int {
		x, y := s.Seats[a.Name], s.Seats[b.Name]
		return cmp.Or(cmp.Compare(x.Attempts, y.Attempts), x.Since.Compare(y.Since), cmp.Compare(p.hashNode(a), p.hashNode(b)))
	})
	if name := p.planFiller(); name != "" {
		needed[name] = true
	}
	for i := range p.Pods {
		if pod := &p.Pods[i]; !needed[pod.Name] && !pod.Deleting {
			p.plan.Delete = append(p.plan.Delete, pod.Name)
		}
	}
	p.planCreation(ready, max(0, p.podLimit()-busy))
}

// countDownloading counts the pods that may be downloading. One that is to go and is on a
// node that does not answer may stay for as long as that lasts, and is not to
// keep others waiting.
func (p *planner) countDownloading() int {
	answers := make(map[string]bool, len(p.Nodes))
	for i := range p.Nodes {
		answers[p.Nodes[i].Name] = p.Nodes[i].Ready
	}
	n := 0
	for i := range p.Pods {
		pod := &p.Pods[i]
		ended := pod.Phase == corev1.PodSucceeded || pod.Phase == corev1.PodFailed
		if lost := pod.Deleting && pod.Node != "" && !answers[pod.Node]; !ended && !lost {
			n++
		}
	}
	return n
}

func (p *planner) planCreation(ready []*Node, room int) {
	s := &p.plan.State
	held, filling := p.Now.Before(p.Held), p.awaitsCaches()
	for i, n := range ready {
		seat := s.Seats[n.Name]
		switch {
		case i < room && !held && !filling:
			if seat.Reason == v1alpha1.ReasonWaiting {
				seat.Reason, seat.Message = "", ""
			}
			if seat.Phase != v1alpha1.PreheatPending {
				seat = p.setPhase(seat, v1alpha1.PreheatPending, "", "")
			}
			s.Seats[n.Name] = seat
			p.plan.Create = append(p.plan.Create, n.Name)
		case seat.Phase == v1alpha1.PreheatFailed:
		case seat.Reason == "" || seat.Phase != v1alpha1.PreheatPending || seat.Reason == v1alpha1.ReasonWaiting:
			why := "the node's turn has not come"
			switch {
			case filling:
				why = "the caches in front of the sources are filled first"
			case held:
				why = "no pod can be made; the condition Preheated says why"
			}
			s.Seats[n.Name] = p.setPhase(seat, v1alpha1.PreheatPending, v1alpha1.ReasonWaiting, why)
		}
	}
	if held && len(ready) > 0 {
		p.wakeAt(p.Held)
	}
}

func (p *planner) podLimit() int {
	return max(minPods, (len(p.plan.State.Seats)+podShare-1)/podShare)
}

// wakeAt asks for the next plan at a time, unless an earlier one is asked for.
func (p *planner) wakeAt(at time.Time) {
	wait := at.Sub(p.Now)
	if at.IsZero() || wait <= 0 {
		return
	}
	if p.plan.Wake == 0 || wait < p.plan.Wake {
		p.plan.Wake = wait
	}
}
