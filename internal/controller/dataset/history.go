// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/rollout"
	"github.com/kuda-io/kuda/internal/domain/stamp"
	"github.com/kuda-io/kuda/internal/shorten"
)

// maxHistory is how many rollouts a status remembers.
const maxHistory = 20

// beginsRollout reports whether the rollout in next is another one than that in before:
// of another revision, or the same one tried again after it had ended.
func beginsRollout(before *v1alpha1.RolloutStatus, next v1alpha1.RolloutStatus) bool {
	return before == nil || before.Revision != next.Revision ||
		!sameTime(before.StartTime, next.StartTime) || hasEnded(before.Phase) && !hasEnded(next.Phase) && !isReopened(*before, next)
}

// isReopened reports whether a rollout that managers of v0.1.0 called completed goes on:
// no pod had its revision.
func isReopened(before, next v1alpha1.RolloutStatus) bool {
	return before.Phase == v1alpha1.RolloutCompleted && next.Phase == v1alpha1.RolloutDelivering
}

// hasEnded reports whether nothing more comes of a rollout by itself. A stopped one
// can still go on.
func hasEnded(p v1alpha1.RolloutPhase) bool {
	return p == v1alpha1.RolloutCompleted || p == v1alpha1.RolloutRolledBack
}

func sameTime(a, b *metav1.MicroTime) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Time.Equal(b.Time)
}

// tally is what a pass counts of the rollout for its record.
type tally struct {
	outcome v1alpha1.RolloutOutcome
	// pods have all of the update revision; bytes are what these received.
	pods  int32
	bytes int64
	// failed pods, and the number of steps.
	failed, steps int
}

func tallyRollout(p *session, s v1alpha1.DataSetStatus) tally {
	t := tally{outcome: p.plan.Outcome, pods: s.UpdatedReplicas, failed: len(p.plan.Failed), steps: len(p.set.Spec.UpdateStrategy.Steps)}
	for _, x := range p.observed.countedReplicas() {
		if x.delivered && x.revision == s.UpdateRevision {
			t.bytes += receivedBytes(x.data)
		}
	}
	return t
}

// receivedBytes returns the bytes of a pod's items that its node did not hold already.
func receivedBytes(d *v1alpha1.Data) int64 {
	var n int64
	for i := range d.Status.DataItemsStatus {
		if item := &d.Status.DataItemsStatus[i]; item.Origin != v1alpha1.OriginNode {
			n += item.Bytes
		}
	}
	return n
}

// correctHistory returns the history without what managers of v0.1.0 said of revisions
// that no pod ever had: that they succeeded.
func correctHistory(history []v1alpha1.RolloutRecord, o *observation) []v1alpha1.RolloutRecord {
	history = slices.Clone(history)
	for i := range history {
		r := &history[i]
		known := revision.Named(o.history, r.Revision)
		if r.Outcome == v1alpha1.OutcomeSucceeded && known != nil && revision.Reached(known) != revision.ReachedDelivered &&
			revisionReach(o, r.Revision) < rollout.Delivered {
			r.Outcome, r.Message = v1alpha1.OutcomeSuperseded, "no pod ever had all of it"
		}
	}
	return history
}

// nextHistory returns the history after a pass. last is the rollout as it was, and
// opening says of one that begins who wants it, and why; nil when none begins.
func nextHistory(history []v1alpha1.RolloutRecord, last *v1alpha1.RolloutStatus, next v1alpha1.RolloutStatus, counted tally,
	opening *v1alpha1.RolloutRecord, now time.Time) []v1alpha1.RolloutRecord {
	history = slices.Clone(history)
	if opening != nil {
		if n := len(history); n > 0 && history[n-1].Outcome == v1alpha1.OutcomeRunning {
			supersedeRecord(&history[n-1], last, counted.steps, now)
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
	if n := len(history); n > 0 && history[n-1].Revision == next.Revision {
		updateRecord(&history[n-1], next, counted, now)
	}
	return history[max(0, len(history)-maxHistory):]
}

// updateRecord brings the record of the present rollout up to date. One that was stopped
// may go on; what ended otherwise is not counted any more.
func updateRecord(r *v1alpha1.RolloutRecord, next v1alpha1.RolloutStatus, counted tally, now time.Time) {
	before := r.Outcome
	if before != v1alpha1.OutcomeRunning && before != v1alpha1.OutcomeStopped && counted.outcome != v1alpha1.OutcomeRunning {
		return
	}
	r.Pods, r.FailedPods = highest(r.Pods, counted.pods), highest(r.FailedPods, int32(counted.failed))
	r.Bytes, r.Outcome = highest(r.Bytes, counted.bytes), counted.outcome
	switch {
	case counted.outcome == v1alpha1.OutcomeRunning:
		r.EndTime, r.Message, r.EndedStep = nil, "", nil
	case counted.outcome != before:
		end := next.EndTime
		if end == nil {
			end = next.ProgressTime
		}
		r.EndTime = wholeSecond(end, now)
		r.Message = shorten.Text(next.Message, maxMessageLength)
		r.EndedStep = endedStep(&next, counted.steps)
	}
}

// highest returns the greater of what was counted before and is counted now.
func highest[N int32 | int64](before *N, now N) *N {
	return new(max(ptr.Deref(before, 0), now))
}

// endedStep returns the number of the step that a rollout is in, from 1; nil for none.
func endedStep(state *v1alpha1.RolloutStatus, steps int) *int32 {
	if state == nil || int(state.Step) >= steps || state.Phase == v1alpha1.RolloutPrefetching ||
		state.Reason == v1alpha1.ReasonPrefetchFailed {
		return nil
	}
	return new(state.Step + 1)
}

// supersedeRecord ends the record of a rollout that another one follows.
func supersedeRecord(r *v1alpha1.RolloutRecord, state *v1alpha1.RolloutStatus, steps int, now time.Time) {
	r.Outcome = v1alpha1.OutcomeSuperseded
	r.EndedStep = endedStep(state, steps)
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
	by := revision.ChangedBy(s.update)
	if last := d.Status.Rollout; last != nil && last.Revision == s.update.Name {
		by = stamp.RequestedBy(d) // it is tried again
	}
	opening := &v1alpha1.RolloutRecord{
		Number:      s.update.Revision,
		ChangeCause: shorten.Text(revision.ChangeCause(s.update), maxMessageLength),
		By:          templateAuthor(whole.ManagedFields),
	}
	if by != "" {
		opening.ChangedBy = &by
	}
	return opening, nil
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
