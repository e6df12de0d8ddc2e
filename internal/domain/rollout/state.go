// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

// The limits of the API.
const (
	maxFailedPods         = 100
	maxMessage            = 1024
	maxMeasurementMessage = 512
)

// restoreState continues the rollout where the last plan left it, or begins one.
func (r *run) restoreState() {
	if r.State == nil || r.State.Revision != r.Update.Name || r.State.Phase == "" {
		// What was asked before this rollout began is not about it.
		r.startRollout(r.Request)
	} else {
		r.state = *r.State.DeepCopy()
	}
	if r.updateIsStable() {
		r.state.Step = int32(len(r.Strategy.Steps))
		switch r.state.Phase {
		case v1alpha1.RolloutCompleted, v1alpha1.RolloutProgressing:
		default:
			// There is nothing to go back to, to be held, or to prefetch.
			r.enterPhase(v1alpha1.RolloutProgressing, "", "")
		}
	} else if r.state.Phase == v1alpha1.RolloutCompleted {
		r.startRollout(r.state.Request)
	}
	if r.onDelete() {
		r.state.Step = int32(len(r.Strategy.Steps))
	}
	r.state.Step = min(max(0, r.state.Step), int32(len(r.Strategy.Steps)))
}

// startRollout starts the rollout of the update revision.
func (r *run) startRollout(request string) {
	r.state = v1alpha1.RolloutStatus{
		Revision:      r.Update.Name,
		Phase:         v1alpha1.RolloutProgressing,
		StartTime:     r.currentTime(),
		ProgressTime:  r.currentTime(),
		StepStartTime: r.currentTime(),
		Request:       request,
	}
	if r.wantsPrefetch() {
		r.state.Phase = v1alpha1.RolloutPrefetching
	}
}

// enterPhase changes the phase.
func (r *run) enterPhase(phase v1alpha1.RolloutPhase, reason, message string) {
	r.state.Phase, r.state.Reason, r.state.Message = phase, reason, shorten.Text(message, maxMessage)
	r.state.ProgressTime, r.state.EndTime = r.currentTime(), nil
}

// updateActive reports whether the update revision is being rolled out, or has been.
func (r *run) updateActive() bool {
	switch r.state.Phase {
	case v1alpha1.RolloutPrefetching, v1alpha1.RolloutProgressing, v1alpha1.RolloutCompleted:
		return true
	}
	return false
}

// isReturning reports whether pods are to be on the stable revision.
func (r *run) isReturning() bool {
	return r.state.Phase == v1alpha1.RolloutRollingBack || r.state.Phase == v1alpha1.RolloutRolledBack
}

// isRollingOut reports whether the rollout of another revision than the stable one is
// under way: only then there are steps to take and pods to judge.
func (r *run) isRollingOut() bool {
	return !r.updateIsStable() && !r.isRetrying() &&
		(r.state.Phase == v1alpha1.RolloutPrefetching || r.state.Phase == v1alpha1.RolloutProgressing)
}

// advancePhase makes all changes of the phase that can be made now.
func (r *run) advancePhase() {
	if !r.Paused {
		r.finishRetry()
		r.finishPrefetch()
		r.advanceSteps()
	}
	r.finishRollback()
	r.finishRollout()
}

// setStateReason sets the state's reason for its phase. For one that ended or
// failed that was said when it did.
func (r *run) setStateReason(s survey) {
	if r.state.Phase != v1alpha1.RolloutPrefetching && r.state.Phase != v1alpha1.RolloutProgressing || r.isRetrying() {
		return
	}
	if reason, message := r.toleratedFailure(s); reason != "" && !stopsDeadline(reasonOf(s.waits)) {
		r.state.Reason, r.state.Message = reason, shorten.Text(message, maxMessage)
		return
	}
	r.state.Reason, r.state.Message = reasonOf(s.waits), ""
}

func (r *run) currentTime() *metav1.MicroTime {
	t := metav1.NewMicroTime(r.Now)
	return &t
}

// timeSince returns the time since a time in the state; 0 where there is none.
func (r *run) timeSince(t *metav1.MicroTime) time.Duration {
	if t == nil {
		return 0
	}
	return r.Now.Sub(t.Time)
}

// addSorted returns the sorted union.
func addSorted(names []string, more ...string) []string {
	all := slices.Concat(names, more)
	slices.Sort(all)
	return slices.Compact(all)
}
