// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"cmp"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/rollout"
)

// progressingCondition is True while pods are on their way to the update
// revision, and False when nothing is under way: with the reason, and with what
// the user can do about it.
func progressingCondition(p *session, s v1alpha1.DataSetStatus) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse}
	onUpdate, updated := p.onUpdate()
	waitingToStart := describeNotStarted(p.set, p.observed.notStarted())
	live := len(p.observed.live) - int(s.NotStartedReplicas)
	count := fmt.Sprintf("%d of %d running pods have revision %s", updated, live, s.UpdateRevision)
	if waitingToStart != "" {
		count += "; " + waitingToStart
	}
	state := p.plan.State
	switch {
	case state.Phase == v1alpha1.RolloutStopped:
		c.Reason = cmp.Or(state.Reason, v1alpha1.ReasonPodsFailed)
		c.Message = fmt.Sprintf("%s; stopped: %s. Change the template, or say kubectl kuda retry %s, or kubectl kuda abort %s to go back",
			count, state.Message, p.set.Name, p.set.Name)
	case state.Phase == v1alpha1.RolloutRollingBack, state.Phase == v1alpha1.RolloutRolledBack:
		c.Reason = cmp.Or(state.Reason, v1alpha1.ReasonPodsFailed)
		c.Message = fmt.Sprintf("%s; %s", count, state.Message)
	case live == 0 && waitingToStart != "":
		c.Reason, c.Message = v1alpha1.ReasonNoPods, "no pod has started: "+waitingToStart
	case live == 0:
		c.Reason, c.Message = v1alpha1.ReasonNoPods, "no running pod carries the runtime"
		if len(p.observed.completed) > 0 {
			c.Reason, c.Message = v1alpha1.ReasonDelivered, "the pods have ended with all of their data"
		}
	case updated == live && state.Phase == v1alpha1.RolloutCompleted:
		c.Reason, c.Message = v1alpha1.ReasonDelivered, count
		if failure := firstFailure(onUpdate, p.now); failure != "" {
			c.Reason, c.Message = v1alpha1.ReasonDeliveryFailed, count+"; "+failure
		}
	default:
		c = waitingCondition(p, c, count, firstFailure(onUpdate, p.now), updated == len(onUpdate))
	}
	return c
}

// waitingCondition says what a rollout that goes on waits for.
func waitingCondition(p *session, c metav1.Condition, count, failure string, settled bool) metav1.Condition {
	state := p.plan.State
	switch {
	case p.set.Spec.Paused && p.plan.HeldBack > 0:
		c.Reason = v1alpha1.ReasonPaused
		c.Message = count + "; set spec.paused to false to move the others"
	case p.plan.Waits == rollout.WaitsForResume:
		c.Reason = v1alpha1.ReasonPaused
		c.Message = count + "; set spec.paused to false to make it the stable revision"
	case state.Phase == v1alpha1.RolloutPrefetching:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonPrefetching
		c.Message = count + "; the revision is downloaded to the nodes before the first pod is moved"
	case state.Message != "":
		// It goes on in spite of something, or is being tried again.
		c.Reason, c.Message = state.Reason, count+"; "+state.Message
		if failure != "" {
			c.Message += "; " + failure
		}
		if state.Reason != v1alpha1.ReasonProgressDeadlineExceeded {
			c.Status = metav1.ConditionTrue
		}
	case failure != "":
		c.Reason, c.Message = v1alpha1.ReasonDeliveryFailed, count+"; "+failure
	case p.plan.Waits == rollout.WaitsForStep:
		c.Reason = v1alpha1.ReasonStepPaused
		c.Message = fmt.Sprintf("%s; %s. kubectl kuda promote %s ends the step", count, stepText(p), p.set.Name)
	case p.plan.Waits == rollout.WaitsForAnalysis:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonAnalyzing
		c.Message = fmt.Sprintf("%s; %s%s", count, stepText(p), describeMeasurements(state.Analysis))
	case p.plan.HeldBack > 0 && settled && p.plan.Complete:
		c.Reason = v1alpha1.ReasonHeldBack
		c.Message = fmt.Sprintf("%s; spec.updateStrategy keeps %d where they are", count, p.plan.HeldBack)
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonDelivering, count
	}
	return c
}

// onUpdate returns the running pods that are told to have the update revision, and
// how many of them have it.
func (p *session) onUpdate() (pods []*replica, updated int) {
	for _, r := range p.observed.live {
		if r.revision != p.update.Name || !r.hasStarted() {
			continue
		}
		pods = append(pods, r)
		if r.delivered {
			updated++
		}
	}
	return pods, updated
}

func stepText(p *session) string {
	steps := p.set.Spec.UpdateStrategy.Steps
	i := int(p.plan.State.Step)
	if i < 0 || i >= len(steps) {
		return "all steps are done"
	}
	return fmt.Sprintf("step %d of %d: %s", i+1, len(steps), describeStep(steps[i]))
}

func describeMeasurements(a *v1alpha1.AnalysisStatus) string {
	if a == nil || a.Succeeded+a.Failed == 0 {
		return ""
	}
	return fmt.Sprintf("; so far %d good, %d bad, the last: %s", a.Succeeded, a.Failed, a.Message)
}

// rolledBackCondition reports whether the spec asks for a revision that was given up.
func rolledBackCondition(p *session, s v1alpha1.DataSetStatus) metav1.Condition {
	state := p.plan.State
	c := metav1.Condition{Type: v1alpha1.ConditionRolledBack, Status: metav1.ConditionTrue,
		Reason: cmp.Or(state.Reason, v1alpha1.ReasonPodsFailed)}
	switch state.Phase {
	case v1alpha1.RolloutRollingBack:
		c.Message = fmt.Sprintf("pods return to revision %s: %s", s.CurrentRevision, state.Message)
	case v1alpha1.RolloutRolledBack:
		c.Message = fmt.Sprintf("every pod is on revision %s: %s. The spec still asks for revision %s: change the template, "+
			"or say kubectl kuda undo %s, or kubectl kuda retry %s to try it again",
			s.CurrentRevision, state.Message, state.Revision, p.set.Name, p.set.Name)
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonNotRolledBack, "the update revision was not given up"
	}
	return c
}
