// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

// deadlineRuns reports whether the clock of the deadline runs while the rollout
// waits for something.
func deadlineRuns(f facts, wait Wait) bool {
	return f.in.ProgressDeadline > 0 && !stopsDeadline(reasonOf(wait)) && f.state.isIn(delivering, prefetching, progressing, retrying)
}

// stopsDeadline reports whether the clock of the deadline stands for a reason.
func stopsDeadline(reason string) bool {
	switch reason {
	case v1alpha1.ReasonPaused, v1alpha1.ReasonNoPods, v1alpha1.ReasonStepPaused,
		v1alpha1.ReasonAnalyzing, v1alpha1.ReasonHeldBack:
		return true
	}
	return false
}

func isOverdue(f facts) bool {
	return f.timeSince(f.state.ProgressTime) >= f.in.ProgressDeadline && deadlineRuns(f, currentWait(f, planMoves(f)))
}

func failsByDeadline(f facts) bool {
	return !f.in.continuesOnFailure() && !f.updateIsStable() && isOverdue(f)
}

func applyDeadline(f facts) state { return giveUp(f, deadlineFailure(f), f.in.FailurePolicy) }

func deadlineFailure(f facts) cause {
	return cause{v1alpha1.ReasonProgressDeadlineExceeded, fmt.Sprintf("no pod came further for %s", f.in.ProgressDeadline)}
}

// recordProgress notes when a pod came further than any before. A clock that stood
// starts anew: the reason that was written last tells.
func recordProgress(f facts) state {
	s := f.state
	if !s.isIn(delivering, prefetching, progressing, retrying) {
		return s
	}
	arrived, counted := countProgress(f)
	// The highest count, as far as its pods are still there: one that
	// flickers is no progress, and one that is replaced is again.
	s.Updated = min(s.Updated, counted)
	if arrived > s.Updated {
		s.Updated, s.ProgressTime = arrived, f.currentTime()
	}
	// A first delivery has no deadline while bytes flow: there is nothing to go back to.
	// The time is written anew only now and then, for it is part of the status.
	if f.in.ProgressDeadline > 0 && s.isIn(delivering) && f.timeSince(s.ProgressTime) >= f.in.ProgressDeadline/4 &&
		f.countPods(func(p podFacts) bool { return p.Downloading }) > 0 {
		s.ProgressTime = f.currentTime()
	}
	if stopsDeadline(s.Reason) && !stopsDeadline(reasonOf(currentWait(f, planMoves(f)))) {
		s.ProgressTime = f.currentTime()
	}
	return s
}

// countProgress returns how many pods came as far as the phase wants, and how many are
// on their way there or arrived.
func countProgress(f facts) (arrived, counted int32) {
	if f.state.isIn(prefetching) {
		return int32(f.countPods(func(p podFacts) bool { return p.Prefetched && p.outdated })), int32(len(f.pods))
	}
	updated := f.countPods(func(p podFacts) bool { return p.updated })
	return int32(updated), int32(f.countPods(func(p podFacts) bool { return !p.outdated }))
}

// recordReason says why the rollout is where it is. For one that ended or failed
// that was said when it did.
func recordReason(f facts) state {
	s := f.state
	if !s.isIn(delivering, prefetching, progressing) {
		return s
	}
	why := cause{reason: reasonOf(currentWait(f, planMoves(f)))}
	if tolerated := toleratedFailure(f); tolerated != (cause{}) && !stopsDeadline(why.reason) {
		why = tolerated
	}
	s.Reason, s.Message = why.reason, shorten.Text(why.message, maxMessage)
	return s
}

// toleratedFailure says what a rollout goes on in spite of: because failurePolicy is
// Continue, or because there is nothing to go back to.
func toleratedFailure(f facts) cause {
	var why cause
	if f.in.continuesOnFailure() && f.isRollingOut() && !f.in.Paused {
		why = rolloutFailure(f)
	}
	if why == (cause{}) && isOverdue(f) {
		return deadlineFailure(f)
	}
	return why
}
