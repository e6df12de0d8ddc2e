// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/shorten"
)

// maxHistory is how many rollouts a status remembers.
const maxHistory = 20

// beginsRollout reports whether the rollout in next is another one than that in before:
// of another revision, or the same one tried again after it had ended.
func beginsRollout(before *v1alpha1.RolloutStatus, next v1alpha1.RolloutStatus) bool {
	return before == nil || before.Revision != next.Revision ||
		!sameTime(before.StartTime, next.StartTime) || hasEnded(before.Phase) && !hasEnded(next.Phase)
}

// hasEnded reports whether nothing more comes of a rollout by itself. A stopped one
// can still go on.
func hasEnded(p v1alpha1.RolloutPhase) bool {
	return p == v1alpha1.RolloutCompleted || p == v1alpha1.RolloutRolledBack
}

func sameTime(a, b *metav1.MicroTime) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Time.Equal(b.Time)
}

// nextHistory returns the history after a pass. opening says of a rollout that
// begins who wants it, and why; nil when none begins.
func nextHistory(before v1alpha1.DataSetStatus, next v1alpha1.RolloutStatus, opening *v1alpha1.RolloutRecord,
	now time.Time) []v1alpha1.RolloutRecord {
	history := append([]v1alpha1.RolloutRecord(nil), before.History...)
	if opening != nil {
		if n := len(history); n > 0 && history[n-1].Outcome == v1alpha1.OutcomeRunning {
			supersedeRecord(&history[n-1], before.Rollout, now)
		}
		opened := *opening
		opened.Revision, opened.Outcome = next.Revision, v1alpha1.OutcomeRunning
		opened.StartTime = wholeSecond(next.StartTime, now)
		if n := len(history); n > 0 && history[n-1].Revision == next.Revision && history[n-1].EndTime != nil {
			// Tried again: what was tried began before.
			opened.StartTime = &metav1.Time{Time: now.Truncate(time.Second)}
		}
		history = append(history, opened)
	}
	if n := len(history); n > 0 && history[n-1].Revision == next.Revision && history[n-1].Outcome == v1alpha1.OutcomeRunning &&
		hasEnded(next.Phase) {
		last := &history[n-1]
		last.EndTime = wholeSecond(next.EndTime, now)
		last.Message = shorten.Text(next.Message, maxMessageLength)
		last.Outcome = v1alpha1.OutcomeSucceeded
		if next.Phase == v1alpha1.RolloutRolledBack {
			last.Outcome = v1alpha1.OutcomeRolledBack
		}
	}
	return history[max(0, len(history)-maxHistory):]
}

// supersedeRecord ends the record of a rollout that another one follows.
func supersedeRecord(r *v1alpha1.RolloutRecord, state *v1alpha1.RolloutStatus, now time.Time) {
	r.Outcome = v1alpha1.OutcomeSuperseded
	r.EndTime = &metav1.Time{Time: now.Truncate(time.Second)}
	r.Message = "the template changed before it ended"
	if state != nil && state.Phase != v1alpha1.RolloutProgressing && state.Message != "" {
		r.Message = shorten.Text(r.Message+"; until then: "+state.Message, maxMessageLength)
	}
}

// wholeSecond is a time as the API keeps those of the history.
func wholeSecond(t *metav1.MicroTime, now time.Time) *metav1.Time {
	if t != nil {
		now = t.Time
	}
	return &metav1.Time{Time: now.Truncate(time.Second)}
}

// openingRecord returns the record of the rollout that begins with this pass, or nil.
// Who wants it is read past the cache, which keeps no managed fields.
func (r *Reconciler) openingRecord(ctx context.Context, s *session) (*v1alpha1.RolloutRecord, error) {
	d := s.set
	if !beginsRollout(d.Status.Rollout, s.plan.State) && len(d.Status.History) > 0 {
		return nil, nil
	}
	var whole v1alpha1.DataSet
	if err := r.live.Get(ctx, keyOf(d), &whole); err != nil {
		return nil, fmt.Errorf("reading who changed the DataSet: %w", err)
	}
	return &v1alpha1.RolloutRecord{
		Number:      s.update.Revision,
		ChangeCause: shorten.Text(revision.ChangeCause(s.update), maxMessageLength),
		By:          templateAuthor(whole.ManagedFields),
	}, nil
}

// templateAuthor returns the field manager that last wrote something of the template,
// which is as near as the API comes to who changed it; empty: unknown.
func templateAuthor(fields []metav1.ManagedFieldsEntry) string {
	name := ""
	var last time.Time
	for i := range fields {
		entry := &fields[i]
		if entry.Subresource != "" || entry.Time == nil || entry.Time.Time.Before(last) || !ownsTemplate(entry.FieldsV1) {
			continue
		}
		name, last = entry.Manager, entry.Time.Time
	}
	return name
}

func ownsTemplate(fields *metav1.FieldsV1) bool {
	if fields == nil {
		return false
	}
	var owned struct {
		Spec struct {
			Template json.RawMessage `json:"f:template"`
		} `json:"f:spec"`
	}
	return json.Unmarshal(fields.GetRawBytes(), &owned) == nil && owned.Spec.Template != nil
}
