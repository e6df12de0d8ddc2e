// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

// refusedCodes are the status codes by which the API server, a quota, a policy or a
// webhook refuses a write that it would refuse again. Others pass by themselves.
var refusedCodes = map[int32]bool{
	http.StatusBadRequest: true, http.StatusForbidden: true, http.StatusRequestEntityTooLarge: true,
	http.StatusUnprocessableEntity: true, http.StatusInternalServerError: true,
}

// isRefusal reports whether the error is a refusal. That of a namespace which is
// being deleted is none: there is nothing left to tell.
func isRefusal(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) || apierrors.IsServerTimeout(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return false
	}
	return refusedCodes[answer.Status().Code]
}

// showRefusal publishes what is known when a write was refused, the refusal with
// it, and returns the error.
func (r *Reconciler) showRefusal(ctx context.Context, s *session, err error) error {
	if !isRefusal(err) {
		return err
	}
	s.refusal = err.Error()
	show := r.publishRefusal
	if s.delivering {
		show = r.publishStatus
	}
	return errors.Join(err, show(ctx, s))
}

// publishRefusal tells of a refusal before a plan was carried out. The rest of the
// status is left as it was.
func (r *Reconciler) publishRefusal(ctx context.Context, s *session) error {
	d := s.set
	before := d.DeepCopy()
	refused := cause{v1alpha1.ReasonWriteRefused, refusedMessage(s.refusal)}
	for _, c := range append(standingConditions(cause{}, refused), refusedCondition(s.refusal)) {
		c.ObservedGeneration = d.Generation
		meta.SetStatusCondition(&d.Status.Conditions, c)
	}
	if err := r.patchStatus(ctx, d, before); err != nil {
		return err
	}
	r.announcer.announceRefusal(s, before.Status)
	return nil
}

func refusedCondition(refusal string) metav1.Condition {
	return metav1.Condition{
		Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonWriteRefused, Message: refusedMessage(refusal),
	}
}

func refusedMessage(refusal string) string {
	return shorten.Text("the API server refused a write, which is tried again: "+refusal, maxMessageLength)
}

// withRefusal adds to the condition Progressing that a write was refused. What
// became of a rollout that ended otherwise stays the reason.
func withRefusal(s *session, c metav1.Condition) metav1.Condition {
	if s.refusal == "" {
		return c
	}
	switch s.plan.State.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		c.Message = fmt.Sprintf("a write was refused: %s; %s", s.refusal, c.Message)
		return c
	}
	return refusedCondition(s.refusal)
}

// keptRefusal returns what the status says of an earlier pass's refusal, for as long
// as this pass does not know better; nil when it says nothing.
func (s *session) keptRefusal(condition string) *metav1.Condition {
	if s.complete || s.refusal != "" {
		return nil
	}
	last := meta.FindStatusCondition(s.set.Status.Conditions, condition)
	if last == nil || last.Reason != v1alpha1.ReasonWriteRefused {
		return nil
	}
	return last.DeepCopy()
}
