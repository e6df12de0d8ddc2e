// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// rolloutRunning reports whether a rollout is under way.
func rolloutRunning(d *v1alpha1.DataSet) bool {
	r := d.Status.Rollout
	return r != nil && (r.Phase == v1alpha1.RolloutDelivering || r.Phase == v1alpha1.RolloutPrefetching ||
		r.Phase == v1alpha1.RolloutProgressing)
}

// atStep reports whether the rollout is at one of its steps. There are none on
// the way to the revision that is the stable one already.
func atStep(d *v1alpha1.DataSet) bool {
	return rolloutRunning(d) && d.Status.CurrentRevision != d.Status.UpdateRevision &&
		int(d.Status.Rollout.Step) < len(d.Spec.UpdateStrategy.Steps)
}

// CheckPause refuses a pause or resume that would change nothing, and says what
// was probably meant.
func CheckPause(d *v1alpha1.DataSet, paused bool, say Say) error {
	switch {
	case paused && d.Spec.Paused:
		return refuse(AlreadyPaused, "DataSet %s is paused already; let it go on by: %s", d.Name, say(VerbResume))
	case paused || d.Spec.Paused:
		return nil
	case rolloutFailed(d):
		return refuse(RolloutFailed, "DataSet %s is not paused; its rollout failed, try it again by: %s", d.Name, say(VerbRetry))
	case atStep(d):
		return refuse(AtStep, "DataSet %s is not paused; it is at step %d of %d, end that by: %s",
			d.Name, d.Status.Rollout.Step+1, len(d.Spec.UpdateStrategy.Steps), say(VerbPromote))
	}
	return refuse(NotPaused, "DataSet %s is not paused", d.Name)
}

// rolloutFailed reports whether the rollout failed and waits for a decision.
func rolloutFailed(d *v1alpha1.DataSet) bool {
	r := d.Status.Rollout
	return r != nil && (r.Phase == v1alpha1.RolloutStopped || r.Phase == v1alpha1.RolloutRolledBack)
}

// PauseEffect says what a pause or resume leads to where that is not plain.
func PauseEffect(d *v1alpha1.DataSet, paused bool) string {
	switch {
	case paused && !rolloutRunning(d):
		return "; no rollout is running, the next one waits for resume"
	case paused:
		return fmt.Sprintf("; %d of %d pods have the new revision", d.Status.UpdatedReplicas, d.Status.Replicas)
	}
	return ""
}

// CheckRequest refuses a request that makes no sense in the phase that the rollout
// is in, and says which one does.
func CheckRequest(d *v1alpha1.DataSet, verb string, f Failing, say Say) error {
	r := d.Status.Rollout
	if d.Status.ObservedGeneration < d.Generation || r == nil || r.Revision != d.Status.UpdateRevision {
		return refuse(Unobserved, "the manager has not looked at the present DataSet %s yet; try again in a moment, or see whether it runs "+
			"(kubectl -n kuda-system get pods)", d.Name)
	}
	hint := func(code Code, format string, args ...any) error {
		return refuse(code, "DataSet %s: %s", d.Name, fmt.Sprintf(format, args...))
	}
	switch verb {
	case v1alpha1.RequestRetry:
		return checkRetry(d, f, hint, say)
	case v1alpha1.RequestAbort:
		return checkAbort(d, hint, say)
	}
	return checkPromote(d, verb, hint, say)
}

type hinter func(code Code, format string, args ...any) error

func checkPromote(d *v1alpha1.DataSet, verb string, hint hinter, say Say) error {
	r := d.Status.Rollout
	switch r.Phase {
	case v1alpha1.RolloutCompleted:
		return hint(Complete, "its rollout is complete; there is nothing to promote")
	case v1alpha1.RolloutStopped:
		return hint(RolloutFailed, "its rollout failed (%s); fix the cause and say %s, or go back by %s", r.Reason, say(VerbRetry),
			say(VerbUndo))
	case v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		return hint(RolledBack, "its rollout failed (%s) and is rolled back; try it again by: %s", r.Reason, say(VerbRetry))
	}
	switch {
	case r.Phase == v1alpha1.RolloutPrefetching && verb == v1alpha1.RequestPromote:
		return hint(Prefetching, "it is prefetching; its steps begin when the bytes are on the nodes")
	case r.Reason == v1alpha1.ReasonRetrying:
		return hint(Retrying, "its failed pods go back before it is tried again; its steps begin after that")
	case d.Spec.Paused:
		return hint(Paused, "it is paused; let it go on by: %s", say(VerbResume))
	case !atStep(d):
		return hint(NoStep, "its rollout waits at no step (it has %d); it goes on by itself", len(d.Spec.UpdateStrategy.Steps))
	}
	return nil
}

func checkAbort(d *v1alpha1.DataSet, hint hinter, say Say) error {
	r := d.Status.Rollout
	switch r.Phase {
	case v1alpha1.RolloutCompleted:
		return hint(Complete, "its rollout is complete; go back to the revision before by: %s", say(VerbUndo))
	case v1alpha1.RolloutRollingBack:
		return hint(RollingBack, "it is being rolled back already (%s)", r.Reason)
	case v1alpha1.RolloutRolledBack:
		return hint(RolledBack, "it is rolled back already (%s)", r.Reason)
	}
	if d.Status.CurrentRevision == "" || d.Status.CurrentRevision == d.Status.UpdateRevision {
		return hint(NoOtherRevision, "there is no other revision to go back to; change the template, or hold it by: %s", say(VerbPause))
	}
	return nil
}

// checkRetry refuses a retry where neither the rollout nor anything in a pod failed.
func checkRetry(d *v1alpha1.DataSet, f Failing, hint hinter, say Say) error {
	r := d.Status.Rollout
	switch {
	case RetriesRollout(r):
		if d.Spec.Paused {
			return hint(Paused, "it is paused, which holds a retry too; let it go on first by: %s", say(VerbResume))
		}
		return nil
	case f.Any():
		return nil
	case r.Phase == v1alpha1.RolloutCompleted:
		return hint(NothingFailed, "its rollout is complete and nothing failed; there is nothing to retry")
	}
	return hint(NothingFailed, "its rollout is running and nothing failed; there is nothing to retry")
}

// RetriesRollout reports whether a retry begins the rollout again.
func RetriesRollout(r *v1alpha1.RolloutStatus) bool {
	switch r.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		return true
	}
	return false
}

// DescribeRequest says what was asked for.
func DescribeRequest(verb string) string {
	switch verb {
	case v1alpha1.RequestPromote:
		return "end the present step"
	case v1alpha1.RequestPromoteFull:
		return "leave out all further steps"
	case v1alpha1.RequestAbort:
		return "end the rollout and move its pods back"
	}
	return "try again what failed"
}

// DescribeOutcome says what became of it.
func DescribeOutcome(verb string, d *v1alpha1.DataSet) string {
	r, steps := d.Status.Rollout, len(d.Spec.UpdateStrategy.Steps)
	switch {
	case verb == v1alpha1.RequestAbort && r.Phase == v1alpha1.RolloutRolledBack:
		return "aborted; its pods are back on revision " + d.Status.CurrentRevision
	case verb == v1alpha1.RequestAbort && r.Phase == v1alpha1.RolloutStopped:
		return "aborted; " + r.Message
	case verb == v1alpha1.RequestAbort:
		return "aborted; its pods go back to revision " + d.Status.CurrentRevision
	case verb == v1alpha1.RequestRetry:
		return "is tried again with revision " + r.Revision
	case int(r.Step) < steps:
		return fmt.Sprintf("promoted to step %d of %d", r.Step+1, steps)
	}
	return "promoted; no step is left"
}
