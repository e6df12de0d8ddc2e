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

// checkPause refuses a pause or resume that would change nothing, and says what
// was probably meant.
func checkPause(d *v1alpha1.DataSet, paused bool, program string) error {
	switch {
	case paused && d.Spec.Paused:
		return fmt.Errorf("DataSet %s is paused already; let it go on by: %s resume %s", d.Name, program, d.Name)
	case paused || d.Spec.Paused:
		return nil
	case rolloutFailed(d):
		return fmt.Errorf("DataSet %s is not paused; its rollout failed, try it again by: %s retry %s", d.Name, program, d.Name)
	case atStep(d):
		return fmt.Errorf("DataSet %s is not paused; it is at step %d of %d, end that by: %s promote %s",
			d.Name, d.Status.Rollout.Step+1, len(d.Spec.UpdateStrategy.Steps), program, d.Name)
	}
	return fmt.Errorf("DataSet %s is not paused", d.Name)
}

// rolloutFailed reports whether the rollout failed and waits for a decision.
func rolloutFailed(d *v1alpha1.DataSet) bool {
	r := d.Status.Rollout
	return r != nil && (r.Phase == v1alpha1.RolloutStopped || r.Phase == v1alpha1.RolloutRolledBack)
}

// pauseEffect says what a pause or resume leads to where that is not plain.
func pauseEffect(d *v1alpha1.DataSet, paused bool) string {
	switch {
	case paused && !rolloutRunning(d):
		return "; no rollout is running, the next one waits for resume"
	case paused:
		return fmt.Sprintf("; %d of %d pods have the new revision", d.Status.UpdatedReplicas, d.Status.Replicas)
	}
	return ""
}

// checkRequest refuses a request that makes no sense in the phase that the rollout
// is in, and says which one does.
func checkRequest(d *v1alpha1.DataSet, verb string, f failing, program string) error {
	r := d.Status.Rollout
	if d.Status.ObservedGeneration < d.Generation || r == nil || r.Revision != d.Status.UpdateRevision {
		return fmt.Errorf("the manager has not looked at the present DataSet %s yet; try again in a moment, or see whether it runs "+
			"(kubectl -n kuda-system get pods)", d.Name)
	}
	hint := func(format string, args ...any) error {
		return fmt.Errorf("DataSet %s: %s", d.Name, fmt.Sprintf(format, args...))
	}
	switch verb {
	case v1alpha1.RequestRetry:
		return checkRetry(d, r, f, hint, program)
	case v1alpha1.RequestAbort:
		return checkAbort(d, r, hint, program)
	}
	return checkPromote(d, r, verb, hint, program)
}

type hinter func(format string, args ...any) error

func checkPromote(d *v1alpha1.DataSet, r *v1alpha1.RolloutStatus, verb string, hint hinter, program string) error {
	switch r.Phase {
	case v1alpha1.RolloutCompleted:
		return hint("its rollout is complete; there is nothing to promote")
	case v1alpha1.RolloutStopped:
		return hint("its rollout failed (%s); fix the cause and say %s retry %s, or go back by %s undo %s", r.Reason, program,
			d.Name, program, d.Name)
	case v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		return hint("its rollout failed (%s) and is rolled back; try it again by: %s retry %s", r.Reason, program, d.Name)
	}
	switch {
	case r.Phase == v1alpha1.RolloutPrefetching && verb == v1alpha1.RequestPromote:
		return hint("it is prefetching; its steps begin when the bytes are on the nodes")
	case r.Reason == v1alpha1.ReasonRetrying:
		return hint("its failed pods go back before it is tried again; its steps begin after that")
	case d.Spec.Paused:
		return hint("it is paused; let it go on by: %s resume %s", program, d.Name)
	case !atStep(d):
		return hint("its rollout waits at no step (it has %d); it goes on by itself", len(d.Spec.UpdateStrategy.Steps))
	}
	return nil
}

func checkAbort(d *v1alpha1.DataSet, r *v1alpha1.RolloutStatus, hint hinter, program string) error {
	switch r.Phase {
	case v1alpha1.RolloutCompleted:
		return hint("its rollout is complete; go back to the revision before by: %s undo %s", program, d.Name)
	case v1alpha1.RolloutRollingBack:
		return hint("it is being rolled back already (%s)", r.Reason)
	case v1alpha1.RolloutRolledBack:
		return hint("it is rolled back already (%s)", r.Reason)
	}
	if d.Status.CurrentRevision == "" || d.Status.CurrentRevision == d.Status.UpdateRevision {
		return hint("there is no other revision to go back to; change the template, or hold it by: %s pause %s", program, d.Name)
	}
	return nil
}

// checkRetry refuses a retry where neither the rollout nor anything in a pod failed.
func checkRetry(d *v1alpha1.DataSet, r *v1alpha1.RolloutStatus, f failing, hint hinter, program string) error {
	switch {
	case retriesRollout(r):
		if d.Spec.Paused {
			return hint("it is paused, which holds a retry too; let it go on first by: %s resume %s", program, d.Name)
		}
		return nil
	case f.any():
		return nil
	case r.Phase == v1alpha1.RolloutCompleted:
		return hint("its rollout is complete and nothing failed; there is nothing to retry")
	}
	return hint("its rollout is running and nothing failed; there is nothing to retry")
}

// retriesRollout reports whether a retry begins the rollout again.
func retriesRollout(r *v1alpha1.RolloutStatus) bool {
	switch r.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		return true
	}
	return false
}

// describeRequest says what was asked for.
func describeRequest(verb string) string {
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

// describeOutcome says what became of it.
func describeOutcome(verb string, d *v1alpha1.DataSet) string {
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
