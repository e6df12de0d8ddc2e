// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"time"

	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/analysis"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/rollout"
)

// rolloutInput is what the plan depends on: what is wanted, what was planned before,
// and the pods that are observed.
func (s *session) rolloutInput(current string) rollout.Input {
	spec := &s.set.Spec
	update := s.update.Name
	in := rollout.Input{
		Strategy:         spec.UpdateStrategy,
		Paused:           spec.Paused,
		FailurePolicy:    spec.FailurePolicy,
		FailureThreshold: spec.FailureThreshold,
		ProgressDeadline: progressDeadline(spec),
		Prefetch:         spec.Prefetch,
		Update:           rollout.Revision{Name: update, Reach: revisionReach(s.observed, update)},
		State:            s.set.Status.Rollout,
		Request:          s.set.Annotations[v1alpha1.AnnotationRolloutRequest],
		Now:              s.now,
	}
	if current != "" {
		in.Current = rollout.Revision{Name: current, Reach: revisionReach(s.observed, current)}
	}
	for _, x := range s.observed.live {
		in.Pods = append(in.Pods, s.rolloutPod(x))
	}
	return in
}

func progressDeadline(spec *v1alpha1.DataSetSpec) time.Duration {
	return time.Duration(ptr.Deref(spec.ProgressDeadlineSeconds, defaultProgressDeadline)) * time.Second
}

// rolloutPod is a pod as the planner sees it.
func (s *session) rolloutPod(x *replica) rollout.Pod {
	health, runtime := podstate.Health(x.pod), podstate.Runtime(x.pod)
	p := rollout.Pod{
		UID: x.pod.UID, Name: x.pod.Name, Born: x.pod.CreationTimestamp.Time, Group: s.groups[x.pod.Spec.NodeName],
		NotStarted: !x.hasStarted(), Revision: x.revision, Delivered: x.delivered,
		Ready: health.Ready, Restarts: health.Restarts,
		RuntimeDown: runtime.Down, RuntimeRestarts: health.RuntimeRestarts, RuntimeStarted: runtime.Started,
	}
	if health.ReadyTransitionTime != nil {
		p.ReadySince = health.ReadyTransitionTime.Time
	}
	if x.data == nil {
		return p
	}
	if ready := assignment.Ready(x.data); x.delivered && ready != nil {
		p.DeliveredAt = ready.LastTransitionTime.Time
	}
	p.FailedMessage = assignment.Failure(x.data)
	p.Failed = p.FailedMessage != ""
	p.Baseline = x.data.Spec.Baseline
	p.Prefetched = assignment.Prefetched(x.data, s.update.Name)
	p.PrefetchMessage = assignment.PrefetchFailure(x.data, s.update.Name)
	p.PrefetchFailed = p.PrefetchMessage != ""
	return p
}

// finishedMeasurement returns the measurement that the rollout waits for, if it is complete.
func (r *Reconciler) finishedMeasurement(d *v1alpha1.DataSet) *rollout.Measurement {
	step, ok := analysisStep(d, d.Status.Rollout)
	if !ok || step == nil || r.analyst == nil {
		return nil
	}
	found, ok := r.analyst.Result(analysis.NewKey(keyOf(d), d.Status.Rollout))
	if !ok {
		return nil
	}
	return &rollout.Measurement{Step: int(d.Status.Rollout.Step), OK: found.OK, Time: found.Time, Message: found.Message}
}

// requestMeasurement asks for the measurement that a written status waits for.
func (r *Reconciler) requestMeasurement(d *v1alpha1.DataSet, index int) {
	if r.analyst == nil {
		return
	}
	step, ok := analysisStep(d, d.Status.Rollout)
	if !ok || index != int(d.Status.Rollout.Step) {
		r.analyst.Forget(keyOf(d))
		return
	}
	r.analyst.Measure(analysis.NewKey(keyOf(d), d.Status.Rollout), *step)
}

// analysisStep returns the analysis step that a rollout takes.
func analysisStep(d *v1alpha1.DataSet, state *v1alpha1.RolloutStatus) (*v1alpha1.AnalysisStep, bool) {
	steps := d.Spec.UpdateStrategy.Steps
	if state == nil || state.Phase != v1alpha1.RolloutProgressing || state.Step < 0 || int(state.Step) >= len(steps) {
		return nil, false
	}
	step := steps[state.Step].Analysis
	return step, step != nil
}
