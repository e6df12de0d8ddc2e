// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// phase is one of those of the API, or one of two that the API does not name.
type (
	phase  = v1alpha1.RolloutPhase
	phases []phase
)

const (
	// notBegun: nothing is remembered of a rollout of the update revision.
	notBegun    phase = ""
	delivering        = v1alpha1.RolloutDelivering
	prefetching       = v1alpha1.RolloutPrefetching
	progressing       = v1alpha1.RolloutProgressing
	// retrying is shown as Progressing with the reason Retrying.
	retrying    phase = "Retrying"
	completed         = v1alpha1.RolloutCompleted
	stopped           = v1alpha1.RolloutStopped
	rollingBack       = v1alpha1.RolloutRollingBack
	rolledBack        = v1alpha1.RolloutRolledBack
)

func (s state) phase() phase {
	if s.Phase == progressing && s.Reason == v1alpha1.ReasonRetrying {
		return retrying
	}
	return s.Phase
}

func (s state) isIn(phases ...phase) bool { return slices.Contains(phases, s.phase()) }

// transition is what an event does to a rollout.
type transition struct {
	event string
	// from are the phases in which the event means something.
	from   phases
	occurs func(facts) bool
	next   func(facts) state
	// to are the phases that it can lead to; none: the rollout stays in its phase.
	to phases
}

// The table of docs/design/007-rollout.md. An event does nothing in a phase that is
// not in its row.
var (
	beginnings = []transition{
		{"another template", phases{notBegun}, alwaysOccurs, beginRollout, phases{delivering, prefetching, progressing}},
		{"the update revision is the stable one", phases{prefetching, stopped, rollingBack, rolledBack},
			facts.updateIsStable, continueStable, phases{delivering, progressing}},
		{"the update revision is the stable one, and no pod ever had all of it", phases{progressing, completed},
			facts.isFirstDelivery, continueStable, phases{delivering}},
		{"the update revision is not the stable one", phases{completed}, leavesStable, beginAgain, phases{prefetching, progressing}},
	}
	requests = []transition{
		{"`promote`", phases{progressing}, requestsPromote, endStep, nil},
		{"`promote-full`", phases{prefetching, progressing}, requestsPromoteFull, endAllSteps, nil},
		{"`abort`", phases{prefetching, progressing, retrying, stopped}, requestsAbort, abortRollout, phases{stopped, rollingBack}},
		{"`retry`", phases{stopped, rollingBack, rolledBack}, requestsRetry, startRetry, phases{retrying, delivering, progressing}},
	}
	failures = []transition{
		{"too many pods or measurements failed", phases{prefetching, progressing}, failsTooOften, applyFailurePolicy,
			phases{stopped, rollingBack}},
	}
	ends = []transition{
		{"no failed pod is left on the update revision", phases{retrying}, retryIsReady, finishRetry,
			phases{delivering, prefetching, progressing}},
		{"every pod has its bytes, or cannot have them", phases{prefetching}, prefetchIsDone, startMoves, phases{progressing}},
		{"a step is done", phases{progressing}, stepIsDone, endDoneSteps, nil},
		{"every pod is on the stable revision", phases{rollingBack}, rollbackIsDone, finishRollback, phases{rolledBack}},
		{"there is no pod, and the next one is to start with the update revision", phases{progressing}, nextPodStartsIt, beginDelivery,
			phases{delivering}},
		{"every pod is updated, a pod had all of it, and all steps are done", phases{delivering, progressing}, rolloutIsDone,
			finishRollout, phases{completed}},
	}
	deadlines = []transition{
		{"the deadline, where the prefetch need not end", phases{prefetching}, givesPrefetchUp, startMoves, phases{progressing}},
		{"the deadline", phases{prefetching, progressing, retrying}, failsByDeadline, applyDeadline, phases{stopped, rollingBack}},
	}
)

// step is a part of what happens in one plan.
type step func(facts) state

// order is what happens in one plan, one after the other. What users asked for goes
// before failures are judged, so that an abort is not overtaken by a failure.
// Failures go before the end of anything, so that a rollout whose last pod
// failed is not complete. The deadline is judged once all that is done is counted.
var order = []step{
	takeEvents(beginnings),
	limitStep,
	takeEvents(requests),
	recordRequest,
	recordMeasurement,
	recordFailures,
	takeEvents(failures),
	takeEvents(ends),
	recordRetryFailures,
	recordProgress,
	takeEvents(deadlines),
	takeEvents(ends),
	recordProgress,
	recordReason,
}

// advancePhase returns the facts after everything that happens to the rollout now.
// Nothing else changes the state.
func advancePhase(f facts) facts {
	for _, s := range order {
		f = f.withState(s(f))
	}
	return f
}

// takeEvents returns the step in which events happen, in their order, where they do.
func takeEvents(events []transition) step {
	return func(f facts) state {
		for _, t := range events {
			if f.state.isIn(t.from...) && t.occurs(f) {
				f = f.withState(t.next(f))
			}
		}
		return f.state
	}
}
