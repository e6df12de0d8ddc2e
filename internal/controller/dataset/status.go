// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

const (
	namesInMessage   = 5
	maxMessageLength = 1024
)

// publishStatus writes the status, and tells of what changed once it is written.
func (r *Reconciler) publishStatus(ctx context.Context, s *session) error {
	d := s.set
	opening, err := r.openingRecord(ctx, s)
	if err != nil {
		return err
	}
	before := d.DeepCopy()
	d.Status = computeStatus(s, opening)
	if err := r.patchStatus(ctx, d, before); err != nil {
		return err
	}
	r.announcer.announceChange(s, before.Status)
	r.metrics.countChange(before.Status, d.Status, s.now)
	return nil
}

// statusConditions returns all conditions that a pass decides.
func statusConditions(p *session, s v1alpha1.DataSetStatus) []metav1.Condition {
	pods, progressing := podsCondition(p, s), progressingCondition(p, s)
	var reconciling, stalled cause
	if p.keptRefusal(v1alpha1.ConditionStalled) == nil {
		reconciling, stalled = newStanding(p, s, pods, progressing).decide()
	}
	return append(standingConditions(reconciling, stalled),
		withStanding(pods, s.Ready, reconciling, stalled),
		withRefusal(p, progressing),
		rolledBackCondition(p, s),
		injectedCondition(p.set, p.observed),
		driftCondition(p.observed.data),
	)
}

func (r *Reconciler) patchStatus(ctx context.Context, d, before *v1alpha1.DataSet) error {
	if equality.Semantic.DeepEqual(before.Status, d.Status) {
		return nil
	}
	// What was decided is not to outlive what it was decided from, nor what
	// another manager wrote in the meantime.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Status().Patch(ctx, d, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating status: %w", err)
	}
	r.written.recordWrite(d)
	return nil
}

// computeStatus computes the whole status. Conditions keep the time of their last
// transition from the status that is there. opening is of a rollout that begins.
func computeStatus(p *session, opening *v1alpha1.RolloutRecord) v1alpha1.DataSetStatus {
	d, o, update := p.set, p.observed, p.update.Name
	counted := o.countedReplicas()
	s := v1alpha1.DataSetStatus{
		DataItems:          int32(len(d.Spec.Template.DataItems)),
		Replicas:           int32(len(counted)),
		UninjectedReplicas: int32(len(o.uninjected)),
		ObservedGeneration: d.Generation,
		CurrentRevision:    p.plan.Current,
		UpdateRevision:     update,
		Rollout:            p.plan.State.DeepCopy(),
		Preheat:            d.Status.Preheat, // another controller's
	}
	for _, r := range counted {
		if r.delivered {
			s.Success++
			if r.revision == update {
				s.UpdatedReplicas++
			}
		}
	}
	s.NotStartedReplicas = int32(len(o.notStarted()))
	s.UnavailableReplicas = s.Replicas - s.Success
	s.Ready = fmt.Sprintf("%d/%d", s.Success, s.Replicas+int32(len(o.missingRuntime())))
	s.History = nextHistory(correctHistory(d.Status.History, o), d.Status.Rollout, p.plan.State, tallyRollout(p, s), opening, p.now)

	s.Conditions = d.DeepCopy().Status.Conditions
	for _, c := range statusConditions(p, s) {
		if kept := p.keptRefusal(c.Type); kept != nil {
			c = *kept
		}
		c.Message = shorten.Text(c.Message, maxMessageLength)
		c.ObservedGeneration = d.Generation
		meta.SetStatusCondition(&s.Conditions, c)
	}
	setCredentials(&s.Conditions, d, o)
	setCaches(&s.Conditions, d, o)
	return s
}
