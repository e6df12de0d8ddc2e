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

// recall takes up the rollout where the last plan left it, or begins one.
func (r *run) recall() {
	if r.State == nil || r.State.Revision != r.Update.Name || r.State.Phase == "" {
		// What was asked before this rollout began is not about it.
		r.begin(r.Request)
	} else {
		r.state = *r.State.DeepCopy()
	}
	if r.settled() {
		r.state.Step = int32(len(r.Strategy.Steps))
		switch r.state.Phase {
		case v1alpha1.RolloutCompleted, v1alpha1.RolloutProgressing:
		default:
			// There is nothing to go back to, to be held, or to prefetch.
			r.enter(v1alpha1.RolloutProgressing, "", "")
		}
	} else if r.state.Phase == v1alpha1.RolloutCompleted {
		r.begin(r.state.Request)
	}
	if r.onDelete() {
		r.state.Step = int32(len(r.Strategy.Steps))
	}
	r.state.Step = min(max(0, r.state.Step), int32(len(r.Strategy.Steps)))
}

// begin starts the rollout of the update revision.
func (r *run) begin(request string) {
	r.state = v1alpha1.RolloutStatus{
		Revision:      r.Update.Name,
		Phase:         v1alpha1.RolloutProgressing,
		StartTime:     r.now(),
		ProgressTime:  r.now(),
		StepStartTime: r.now(),
		Request:       request,
	}
	if r.wantsPrefetch() {
		r.state.Phase = v1alpha1.RolloutPrefetching
	}
}

// enter changes the phase.
func (r *run) enter(phase v1alpha1.RolloutPhase, reason, message string) {
	r.state.Phase, r.state.Reason, r.state.Message = phase, reason, shorten.Text(message, maxMessage)
	r.state.ProgressTime, r.state.EndTime = r.now(), nil
}

// under says whether the update revision is being rolled out, or has been.
func (r *run) under() bool {
	switch r.state.Phase {
	case v1alpha1.RolloutPrefetching, v1alpha1.RolloutProgressing, v1alpha1.RolloutCompleted:
		return true
	}
	return false
}

// returning says whether pods are to be on the stable revision.
func (r *run) returning() bool {
	return r.state.Phase == v1alpha1.RolloutRollingBack || r.state.Phase == v1alpha1.RolloutRolledBack
}

// rolling says whether the rollout of another revision than the stable one is
// under way: only then there are steps to take and pods to judge.
func (r *run) rolling() bool {
	return !r.settled() && !r.retrying() &&
		(r.state.Phase == v1alpha1.RolloutPrefetching || r.state.Phase == v1alpha1.RolloutProgressing)
}

// advance takes all turns that can be taken now.
func (r *run) advance() {
	if !r.Paused {
		r.retried()
		r.prefetched()
		r.step()
	}
	r.returned()
	r.finish()
}

// explain says in the state why it is in its phase. For one that ended or
// failed that was said when it did.
func (r *run) explain(s survey) {
	if r.state.Phase != v1alpha1.RolloutPrefetching && r.state.Phase != v1alpha1.RolloutProgressing || r.retrying() {
		return
	}
	if reason, message := r.trouble(s); reason != "" && !stands(reasonOf(s.waits)) {
		r.state.Reason, r.state.Message = reason, shorten.Text(message, maxMessage)
		return
	}
	r.state.Reason, r.state.Message = reasonOf(s.waits), ""
}

func (r *run) now() *metav1.MicroTime {
	t := metav1.NewMicroTime(r.Now)
	return &t
}

// since answers the time since a time in the state; 0 where there is none.
func (r *run) since(t *metav1.MicroTime) time.Duration {
	if t == nil {
		return 0
	}
	return r.Now.Sub(t.Time)
}

// addSorted answers the sorted union.
func addSorted(names []string, more ...string) []string {
	all := slices.Concat(names, more)
	slices.Sort(all)
	return slices.Compact(all)
}
