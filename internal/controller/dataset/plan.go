// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/rollout"
	"github.com/kuda-io/kuda/internal/domain/stamp"
)

// defaultProgressDeadline is what the schema's default says, for objects that did not see it.
const defaultProgressDeadline = 600

// rollOut plans and carries out. What a move depends on is written before it:
// how far its revision came, and what was decided of the rollout. A manager
// that dies in between decides the same again.
func (r *Reconciler) rollOut(ctx context.Context, s *session) error {
	d, o, update := s.set, s.observed, s.update.Name
	current := d.Status.CurrentRevision
	if _, ok := revisionTemplate(o, current); !ok && current != "" {
		// Nothing is left of the stable revision, so there is nothing to
		// return to: the update revision takes its place, and this says so.
		ctrl.LoggerFrom(ctx).Info("lost the stable revision, taking the update revision instead", "revision", current, "update", update)
		current = ""
	}
	// What is refused for one pod, by a policy for example, does not hold up the plan for
	// the others. It is told once the plan is carried out.
	var refused error
	if state := d.Status.Rollout; state == nil || state.Revision != update {
		if err := r.clearBaselines(ctx, s); err != nil {
			if err = fmt.Errorf("beginning the rollout of revision %s: %w", update, err); !isRefusal(err) {
				return err
			}
			refused = err
		}
	}
	if err := r.requestRetries(ctx, s); err != nil {
		if !isRefusal(err) {
			return err
		}
		refused = cmp.Or(refused, err)
	}
	in := s.rolloutInput(current)
	in.Measurement = r.measurements.finishedMeasurement(d)
	s.plan = rollout.Decide(in)
	for _, name := range []string{s.plan.Current, update} {
		reached := revisionReach(o, name)
		if assignsRevision(o, s.plan, name) {
			reached = max(reached, rollout.Assigned)
		}
		if err := r.revisions.recordReach(ctx, o, name, reached); err != nil {
			return err
		}
	}
	if !equality.Semantic.DeepEqual(d.Status.Rollout, &s.plan.State) {
		if err := r.publishStatus(ctx, s); err != nil {
			return err
		}
	}
	s.delivering = true
	if err := r.applyPlan(ctx, s); err != nil {
		return fmt.Errorf("rolling out revision %s: %w", update, err)
	}
	return refused
}

// assignsRevision reports whether the plan gives the revision to a pod.
func assignsRevision(o *observation, p rollout.Plan, name string) bool {
	for _, m := range p.Moves {
		if m.Revision == name {
			return true
		}
	}
	if p.New != name {
		return false
	}
	for _, x := range o.live {
		if x.data == nil {
			return true
		}
	}
	return false
}

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
		FillCache:        spec.Preheat != nil && spec.Preheat.Cache,
		Update:           rollout.Revision{Name: update, Reach: revisionReach(s.observed, update)},
		State:            s.set.Status.Rollout,
		Request:          s.set.Annotations[v1alpha1.AnnotationRolloutRequest],
		RequestedBy:      stamp.RequestedBy(s.set),
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
		NotStarted: !x.hasStarted(), Revision: x.revision, Delivered: x.delivered, Downloading: x.downloads(),
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
