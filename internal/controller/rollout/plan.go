// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// run is one plan in the making.
type run struct {
	Input
	// state becomes Plan.State.
	state v1alpha1.RolloutStatus
	// notStarted are the pods that Input.Pods lacks here, because they have no part
	// in any decision.
	notStarted []Pod
	// current is the stable revision.
	current string
	// failures becomes Plan.Failures.
	failures map[string]string
}

// Decide makes the plan. Applied to what it answered, with nothing changed, it
// answers the same again.
func Decide(in Input) Plan {
	// Times are compared with ones that were written with this precision.
	in.Now = in.Now.Truncate(time.Microsecond)
	r := &run{Input: in, current: stable(in)}
	r.Pods, r.notStarted = splitStarted(in.Pods)
	r.recall()
	r.heed()
	r.measured()
	r.judge()
	r.advance()
	s := r.survey()
	r.progress(s)
	if r.late(s) {
		r.giveUp()
		r.advance()
		s = r.survey()
		r.progress(s)
	}
	r.explain(s)
	return r.plan(s)
}

// survey is what the pods are to do in the phase that the rollout is in now.
type survey struct {
	// moves are to be made now, of those that are to be made at some time.
	movable, moves []Move
	held           int
	waits          Wait
}

func (r *run) survey() survey {
	var s survey
	switch {
	case r.returning():
		s.moves, s.held = r.back()
		s.movable = s.moves
	case r.retrying():
		s.moves, s.held = r.again()
		s.movable = s.moves
	case r.state.Phase == v1alpha1.RolloutStopped:
		s.held = len(r.others())
	default:
		s.movable, s.held = r.candidates()
		if r.state.Phase != v1alpha1.RolloutPrefetching {
			s.moves = r.afford(s.movable)
		}
	}
	s.waits = r.waits(s)
	return s
}

func (r *run) plan(s survey) Plan {
	p := Plan{
		Current:  r.current,
		New:      r.fresh(),
		Moves:    slices.Concat(s.moves, r.reassignNotStarted()),
		HeldBack: s.held,
		Complete: r.under() && len(s.movable) == 0 && r.everyone(),
		State:    r.state,
		Measure:  r.due(),
		Wake:     r.wake(s),
		Failed:   r.casualties(),
		Failures: r.failures,
		Waits:    s.waits,

		NotStarted: len(r.notStarted),
	}
	for _, pod := range r.Pods {
		if r.updated(pod) {
			p.Updated++
		}
	}
	if r.prefetches() {
		p.Prefetch = r.Update.Name
	}
	return p
}

// everyone says whether all pods have what they were told to have, and those on
// the update revision passed the gate.
func (r *run) everyone() bool {
	for _, p := range r.Pods {
		if p.Revision == "" || p.Revision == r.Update.Name && !r.updated(p) {
			return false
		}
	}
	return true
}
