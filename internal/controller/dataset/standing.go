// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/rollout"
)

// cause is the reason of a condition, and its message. Its zero value: there is none.
type cause struct{ reason, message string }

// standing is what is decided from whether the spec is carried out, on its way, or in
// need of help. The table of states is in docs/design/013-status.md.
type standing struct {
	phase v1alpha1.RolloutPhase
	// failure is why the rollout is in its phase.
	failure cause
	// waits is what the rollout waits for, and progress says so.
	waits    rollout.Wait
	progress cause
	// pods is how many running pods are to have the data, and complete says that each
	// of them has what it is to have.
	pods     int32
	complete bool
	// held pods are kept from the update revision.
	held int
	// overdue says what a pod has lacked for longer than progressDeadlineSeconds.
	overdue cause
	// refusal is the write that was refused; empty: none was.
	refusal string
	// refusedFor is for how long writes have been refused.
	refusedFor time.Duration
}

// decide returns why the DataSet is Reconciling, or else why it is Stalled. Without
// either its spec is carried out, as far as it may be.
func (s standing) decide() (reconciling, stalled cause) {
	switch {
	case s.phase == v1alpha1.RolloutStopped, s.phase == v1alpha1.RolloutRolledBack:
		return cause{}, s.failure
	case s.refusal != "" && s.phase != v1alpha1.RolloutRollingBack:
		return refusedStanding(s.refusal, s.refusedFor)
	case s.failure.reason == v1alpha1.ReasonProgressDeadlineExceeded && s.phase != v1alpha1.RolloutRollingBack:
		return cause{}, s.failure
	case s.overdue != cause{} && s.countsOverduePods():
		return cause{}, s.overdue
	case s.isSettled():
		return cause{}, cause{}
	}
	return s.progress, cause{}
}

// countsOverduePods reports whether each pod has a deadline of its own. While the rollout
// moves pods, its own deadline counts.
func (s standing) countsOverduePods() bool {
	switch s.phase {
	case v1alpha1.RolloutCompleted, v1alpha1.RolloutRollingBack:
		return true
	}
	return s.waits == rollout.WaitsForPartition || s.waits == rollout.WaitsForPods
}

// isSettled reports whether the rollout went as far as it may.
func (s standing) isSettled() bool {
	switch {
	case s.phase == v1alpha1.RolloutCompleted, s.waits == rollout.WaitsForPartition, s.pods == 0:
		return true
	}
	return s.waits == rollout.WaitsForResume && s.held == 0 && s.complete
}

// newStanding returns that of a pass. pods is what the condition Ready says of pods
// alone.
func newStanding(p *session, s v1alpha1.DataSetStatus, pods, progressing metav1.Condition) standing {
	missing := int32(len(p.observed.missingRuntime()))
	st := standing{
		phase:    p.plan.State.Phase,
		failure:  cause{p.plan.State.Reason, progressing.Message},
		waits:    p.plan.Waits,
		progress: cause{progressing.Reason, progressing.Message},
		pods:     int32(len(p.observed.live)) + missing,
		complete: s.UnavailableReplicas == 0 && missing == 0,
		held:     p.plan.HeldBack,
		refusal:  p.refusal, refusedFor: p.refusedFor,
	}
	if progressing.Reason == v1alpha1.ReasonNoPods {
		st.progress = cause{pods.Reason, pods.Message}
	}
	if after, lacks := p.overdueAfter(); lacks && after <= 0 {
		st.overdue = overdueCause(p, pods)
	}
	return st
}

// overdueCause says what a pod has lacked for too long.
func overdueCause(p *session, pods metav1.Condition) cause {
	c := cause{pods.Reason, fmt.Sprintf("for longer than %s: %s", progressDeadline(&p.set.Spec), pods.Message)}
	if pods.Reason == v1alpha1.ReasonDelivering {
		c.reason = v1alpha1.ReasonProgressDeadlineExceeded
	}
	return c
}

// overdueAfter returns the time until a pod has lacked its data for longer than
// progressDeadlineSeconds; false: every pod has its data.
func (p *session) overdueAfter() (after time.Duration, lacks bool) {
	var first time.Time
	earlier := func(at time.Time) {
		if !lacks || at.Before(first) {
			first, lacks = at, true
		}
	}
	for _, x := range p.observed.live {
		switch {
		case x.downloads(): // it is on its way; a download that stands still fails
		case !x.delivered:
			earlier(lacksSince(x))
		case podstate.Dies(x.pod, p.now):
			earlier(diesSince(x))
		}
	}
	for _, x := range p.observed.missingRuntime() {
		earlier(x.CreationTimestamp.Time)
	}
	// A pod that waited for its DataSet, or for the rollout, has not waited since its birth.
	if created := p.set.CreationTimestamp.Time; first.Before(created) {
		first = created
	}
	if t := p.plan.State.ProgressTime; t != nil && first.Before(t.Time) {
		first = t.Time
	}
	return first.Add(progressDeadline(&p.set.Spec)).Sub(p.now), lacks
}

// lacksSince returns since when a pod lacks something of what it is to have. One that
// never had all of a revision has lacked it since its creation, whatever its runtime
// reported when.
func lacksSince(x *replica) time.Time {
	since := x.pod.CreationTimestamp.Time
	if x.data == nil || x.data.Status.CurrentRevision == "" {
		return since
	}
	if ready := assignment.Ready(x.data); ready != nil && ready.LastTransitionTime.After(since) {
		return ready.LastTransitionTime.Time
	}
	return since
}

// diesSince returns since when a pod whose runtime cannot live is not Ready.
func diesSince(x *replica) time.Time {
	if h := podstate.Health(x.pod); !h.Ready && h.ReadyTransitionTime != nil {
		return h.ReadyTransitionTime.Time
	}
	return x.pod.CreationTimestamp.Time
}

// standingConditions returns Reconciling and Stalled.
func standingConditions(reconciling, stalled cause) []metav1.Condition {
	r := metav1.Condition{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonSettled, Message: "nothing is under way"}
	if reconciling != (cause{}) {
		r.Status, r.Reason, r.Message = metav1.ConditionTrue, reconciling.reason, reconciling.message
	}
	s := metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonNotStalled, Message: "nothing needs help"}
	if stalled != (cause{}) {
		s.Status, s.Reason, s.Message = metav1.ConditionTrue, stalled.reason, stalled.message
	}
	return []metav1.Condition{r, s}
}

// withStanding returns the condition Ready: what it says of pods, and where they have
// all that they are to have, whether that is what the spec asks for.
func withStanding(pods metav1.Condition, ready string, reconciling, stalled cause) metav1.Condition {
	why := reconciling
	if stalled != (cause{}) {
		why = stalled
	}
	if pods.Status != metav1.ConditionTrue || why == (cause{}) {
		return pods
	}
	pods.Status, pods.Reason = metav1.ConditionFalse, why.reason
	pods.Message = fmt.Sprintf("%s pods have the revision they are to have; %s", ready, why.message)
	return pods
}
