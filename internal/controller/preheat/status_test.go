// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

// planOf is a plan with seats of these phases.
func planOf(phases ...v1alpha1.PreheatPhase) Plan {
	p := Plan{State: State{Revision: "r1", Seats: map[string]Seat{}}, Wanted: len(phases), Matching: len(phases), Fit: len(phases)}
	for i, phase := range phases {
		seat := Seat{Phase: phase, Since: start.Add(500 * time.Millisecond)}
		if phase == v1alpha1.PreheatFailed {
			seat.Reason, seat.Message, seat.Attempts = v1alpha1.ReasonNotFound, strings.Repeat("ö", 2000), 3
		}
		p.State.Seats[fmt.Sprintf("n%03d", i)] = seat
	}
	return p
}

func TestTheConditionSaysWhatDelaysAPreheat(t *testing.T) {
	const ready, failed, pending = v1alpha1.PreheatReady, v1alpha1.PreheatFailed, v1alpha1.PreheatPending
	change := func(p Plan, f func(*Plan)) Plan { f(&p); return p }
	for name, c := range map[string]struct {
		plan     Plan
		obstacle *obstacle
		reason   string
		says     string
	}{
		"all ready":            {planOf(ready, ready), nil, v1alpha1.ReasonPreheated, "2 of 2 nodes have revision r1"},
		"on the way":           {planOf(ready, pending), nil, v1alpha1.ReasonPreheating, "1 of 2"},
		"one failed":           {planOf(ready, pending, failed), nil, v1alpha1.ReasonPreheatFailed, "node n002: NotFound"},
		"no node":              {planOf(), nil, v1alpha1.ReasonNoNodes, "no node has the labels of spec.preheat.nodeSelector (disk=fast)"},
		"no node takes pods":   {change(planOf(), func(p *Plan) { p.Matching = 3 }), nil, v1alpha1.ReasonNoNodes, "3 nodes have the labels"},
		"too few nodes":        {change(planOf(ready), func(p *Plan) { p.Wanted = 2 }), nil, v1alpha1.ReasonNoNodes, "1 of 2"},
		"too few and not done": {change(planOf(pending), func(p *Plan) { p.Wanted = 2 }), nil, v1alpha1.ReasonPreheating, "0 of 2"},
		"an obstacle":          {planOf(ready, failed), &obstacle{"Forbidden", "no right"}, v1alpha1.ReasonForbidden, "no right"},
		"an obstacle passed":   {planOf(ready), &obstacle{"Forbidden", "no right"}, v1alpha1.ReasonPreheated, "1 of 1"},
		"no schedule": {change(planOf(ready), func(p *Plan) { p.Schedule = errors.New("is wrong") }), nil,
			v1alpha1.ReasonInvalidSchedule, "is wrong"},
	} {
		got := conditionOf(v1alpha1.Preheat{NodeSelector: map[string]string{"disk": "fast"}}, c.plan, statusOf(c.plan), c.obstacle)
		if got.Reason != c.reason || !strings.Contains(got.Message, c.says) || (got.Status == "True") != (c.reason == v1alpha1.ReasonPreheated) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAStatusListsAtMostAHundredNodes(t *testing.T) {
	phases := make([]v1alpha1.PreheatPhase, 150)
	for i := range phases {
		phases[i] = v1alpha1.PreheatReady
	}
	phases[140], phases[145] = v1alpha1.PreheatPending, v1alpha1.PreheatFailed
	s := statusOf(planOf(phases...))
	if len(s.Nodes) != 100 || s.Ready != 148 || s.Failed != 1 || s.Desired != 150 {
		t.Errorf("%d nodes: %d of %d ready, %d failed", len(s.Nodes), s.Ready, s.Desired, s.Failed)
	}
	if s.Nodes[0].Node != "n145" || s.Nodes[1].Node != "n140" || len(s.Nodes[0].Message) > 1024 {
		t.Errorf("those that are not ready do not come first: %+v", s.Nodes[:2])
	}
}

func TestTheNextLeaderRestoresItsStateFromTheStatus(t *testing.T) {
	plan := planOf(v1alpha1.PreheatReady, v1alpha1.PreheatFailed, v1alpha1.PreheatPending)
	plan.State.Last, plan.State.Next = start, start.Add(time.Hour)
	got := stateOf(statusOf(plan))
	want := plan.State
	for name, seat := range want.Seats {
		seat.Since, seat.Message = start, shorten.Text(seat.Message, maxMessage)
		seat.Attempts = min(seat.Attempts, 1)
		want.Seats[name] = seat
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := stateOf(nil); s.Revision != "" || len(s.Seats) != 0 {
		t.Errorf("of no status: %+v", s)
	}
}

func TestAFailureIsReportedOnce(t *testing.T) {
	failed, pending := planOf(v1alpha1.PreheatFailed), planOf(v1alpha1.PreheatPending)
	// A node that is tried again says what it failed of.
	seat := pending.State.Seats["n000"]
	seat.Reason = v1alpha1.ReasonNotFound
	pending.State.Seats["n000"] = seat
	other := planOf(v1alpha1.PreheatFailed)
	other.State.Revision = "r2"
	for name, c := range map[string]struct {
		before, after *v1alpha1.PreheatStatus
		want          int
	}{
		"first":            {nil, statusOf(failed), 1},
		"still":            {statusOf(failed), statusOf(failed), 0},
		"again":            {statusOf(pending), statusOf(failed), 0},
		"another revision": {statusOf(failed), statusOf(other), 1},
		"gone":             {statusOf(failed), nil, 0},
	} {
		got := newFailures(c.before, c.after)
		if len(got) != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
