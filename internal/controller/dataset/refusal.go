// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	s.refusal, s.refusedFor = err.Error(), r.refusals.record(client.ObjectKeyFromObject(s.set), s.now)
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
	reconciling, stalled := refusedStanding(s.refusal, s.refusedFor)
	ready := refusedCondition(s.refusal)
	ready.Type = v1alpha1.ConditionReady
	for _, c := range append(standingConditions(reconciling, stalled), refusedCondition(s.refusal), ready) {
		c.ObservedGeneration = d.Generation
		meta.SetStatusCondition(&d.Status.Conditions, c)
	}
	if err := r.patchStatus(ctx, d, before); err != nil {
		return err
	}
	r.announcer.announceRefusal(s, before.Status)
	return nil
}

// refusalGrace is how long writes may be refused before help is called for: an API
// server that changes its leader, or a webhook that is restarted, refuses for seconds.
const refusalGrace = time.Minute

// refusedStanding returns what a refused write makes the DataSet: Reconciling at first,
// since the write is tried again, and Stalled once it has been refused for long.
func refusedStanding(refusal string, since time.Duration) (reconciling, stalled cause) {
	refused := cause{v1alpha1.ReasonWriteRefused, refusedMessage(refusal)}
	if since < refusalGrace {
		return refused, cause{}
	}
	return cause{}, refused
}

// retryAfter returns when a refused write is tried again: after as long as writes have
// been refused, so that tries double their distances, and when that stalls the DataSet.
func retryAfter(refusedFor time.Duration) time.Duration {
	wait := min(max(refusedFor, firstRetry), lastRetry)
	if left := refusalGrace - refusedFor; left > 0 {
		wait = min(wait, left)
	}
	return wait
}

// refusals remembers since when the writes for a DataSet are refused. The zero value is
// ready for use.
type refusals struct {
	mu    sync.Mutex
	since map[types.NamespacedName]time.Time
}

// record notes a refusal and returns for how long there have been some.
func (r *refusals) record(key types.NamespacedName, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, ok := r.since[key]
	if !ok {
		if r.since == nil {
			r.since = map[types.NamespacedName]time.Time{}
		}
		first, r.since[key] = now, now
	}
	return now.Sub(first)
}

// forgetDataSet drops what is remembered of a DataSet whose writes are taken, or that is gone.
func (r *refusals) forgetDataSet(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, key)
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
