// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func micro(after time.Duration) *metav1.MicroTime {
	return &metav1.MicroTime{Time: start.Add(after)}
}

func second(after time.Duration) *metav1.Time {
	return &metav1.Time{Time: start.Add(after)}
}

// write plays what a pass writes of a rollout.
func write(s *v1alpha1.DataSetStatus, next v1alpha1.RolloutStatus, at time.Duration) {
	var opening *v1alpha1.RolloutRecord
	if beginsRollout(s.Rollout, next) {
		opening = &v1alpha1.RolloutRecord{By: "kubectl", Number: int64(len(s.History) + 1)}
	}
	s.History = nextHistory(s.History, s.Rollout, next, tally{outcome: outcomeOf(next.Phase)}, opening, start.Add(at))
	s.Rollout = &next
}

func outcomeOf(p v1alpha1.RolloutPhase) v1alpha1.RolloutOutcome {
	switch p {
	case v1alpha1.RolloutCompleted:
		return v1alpha1.OutcomeSucceeded
	case v1alpha1.RolloutRolledBack:
		return v1alpha1.OutcomeRolledBack
	case v1alpha1.RolloutStopped:
		return v1alpha1.OutcomeStopped
	}
	return v1alpha1.OutcomeRunning
}

const (
	progressing = v1alpha1.RolloutProgressing
	completed   = v1alpha1.RolloutCompleted
)

// historyCase is the rollouts that passes write, a minute apart, and the history that
// is to come of it.
type historyCase struct {
	written []v1alpha1.RolloutStatus
	want    []v1alpha1.RolloutRecord
}

func record(number int64, revision string, from time.Duration, to *metav1.Time, outcome v1alpha1.RolloutOutcome,
	message string) v1alpha1.RolloutRecord {
	return v1alpha1.RolloutRecord{
		Number: number, Revision: revision, By: "kubectl", StartTime: second(from), EndTime: to, Outcome: outcome, Message: message,
		Pods: new(int32(0)), FailedPods: new(int32(0)), Bytes: new(int64(0)),
	}
}

func checkHistories(t *testing.T, cases map[string]historyCase) {
	t.Helper()
	for name, c := range cases {
		var s v1alpha1.DataSetStatus
		for i, next := range c.written {
			write(&s, next, time.Duration(i)*time.Minute)
		}
		if diff := cmp.Diff(c.want, s.History); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAStoppedRolloutIsRecordedAsSuch(t *testing.T) {
	checkHistories(t, map[string]historyCase{
		"stopped, then edited": {
			[]v1alpha1.RolloutStatus{
				{Revision: "r2", Phase: progressing, StartTime: micro(0)},
				{Revision: "r2", Phase: v1alpha1.RolloutStopped, StartTime: micro(0), ProgressTime: micro(time.Minute), Message: "2 pods failed"},
				{Revision: "r3", Phase: progressing, StartTime: micro(2 * time.Minute)},
			},
			[]v1alpha1.RolloutRecord{
				record(1, "r2", 0, second(time.Minute), v1alpha1.OutcomeStopped, "2 pods failed"),
				record(2, "r3", 2*time.Minute, nil, v1alpha1.OutcomeRunning, ""),
			},
		},
		"stopped, then aborted": {
			[]v1alpha1.RolloutStatus{
				{Revision: "r2", Phase: v1alpha1.RolloutStopped, StartTime: micro(0), Message: "2 pods failed"},
				{Revision: "r2", Phase: v1alpha1.RolloutRollingBack, StartTime: micro(0), Message: "alice aborted"},
				{Revision: "r2", Phase: v1alpha1.RolloutRolledBack, StartTime: micro(0), EndTime: micro(time.Minute), Message: "alice aborted"},
			},
			[]v1alpha1.RolloutRecord{record(1, "r2", 0, second(time.Minute), v1alpha1.OutcomeRolledBack, "alice aborted")},
		},
		"stopped, then tried again": {
			[]v1alpha1.RolloutStatus{
				{Revision: "r2", Phase: v1alpha1.RolloutStopped, StartTime: micro(0), ProgressTime: micro(0), Message: "2 pods failed"},
				{Revision: "r2", Phase: progressing, StartTime: micro(time.Minute)},
			},
			[]v1alpha1.RolloutRecord{
				record(1, "r2", 0, second(0), v1alpha1.OutcomeStopped, "2 pods failed"),
				record(2, "r2", time.Minute, nil, v1alpha1.OutcomeRunning, ""),
			},
		},
		"a manager of v0.1.0 called it completed": {
			[]v1alpha1.RolloutStatus{
				{Revision: "r1", Phase: completed, StartTime: micro(0), EndTime: micro(0)},
				{Revision: "r1", Phase: v1alpha1.RolloutDelivering, StartTime: micro(0)},
				{Revision: "r1", Phase: completed, StartTime: micro(0), EndTime: micro(2 * time.Minute)},
			},
			[]v1alpha1.RolloutRecord{record(1, "r1", 0, second(2*time.Minute), v1alpha1.OutcomeSucceeded, "")},
		},
	})
}

func TestTheHistoryRecordsEachRollout(t *testing.T) {
	const changed = "the template changed before it ended"
	checkHistories(t, map[string]historyCase{
		"it runs": {
			[]v1alpha1.RolloutStatus{{Revision: "r1", Phase: progressing, StartTime: micro(0)},
				{Revision: "r1", Phase: progressing, StartTime: micro(0), Step: 1}},
			[]v1alpha1.RolloutRecord{record(1, "r1", 0, nil, v1alpha1.OutcomeRunning, "")},
		},
		"it began and ended at once": {
			[]v1alpha1.RolloutStatus{{Revision: "r1", Phase: completed, StartTime: micro(0), EndTime: micro(0)}},
			[]v1alpha1.RolloutRecord{record(1, "r1", 0, second(0), v1alpha1.OutcomeSucceeded, "")},
		},
		"undone in the middle": {
			[]v1alpha1.RolloutStatus{
				{Revision: "r1", Phase: completed, StartTime: micro(0), EndTime: micro(0)},
				{Revision: "r2", Phase: progressing, StartTime: micro(time.Minute)},
				{Revision: "r1", Phase: progressing, StartTime: micro(2 * time.Minute)},
				{Revision: "r1", Phase: completed, StartTime: micro(2 * time.Minute), EndTime: micro(3 * time.Minute)},
			},
			[]v1alpha1.RolloutRecord{
				record(1, "r1", 0, second(0), v1alpha1.OutcomeSucceeded, ""),
				record(2, "r2", time.Minute, second(2*time.Minute), v1alpha1.OutcomeSuperseded, changed),
				record(3, "r1", 2*time.Minute, second(3*time.Minute), v1alpha1.OutcomeSucceeded, ""),
			},
		},
		"rolled back, then tried again": {
			[]v1alpha1.RolloutStatus{
				{Revision: "r2", Phase: progressing, StartTime: micro(0)},
				{Revision: "r2", Phase: v1alpha1.RolloutRollingBack, StartTime: micro(0), Message: "aborted"},
				{Revision: "r2", Phase: v1alpha1.RolloutRolledBack, StartTime: micro(0), EndTime: micro(2 * time.Minute), Message: "aborted"},
				{Revision: "r2", Phase: progressing, StartTime: micro(3 * time.Minute)},
				{Revision: "r2", Phase: completed, StartTime: micro(3 * time.Minute), EndTime: micro(4 * time.Minute)},
			},
			[]v1alpha1.RolloutRecord{
				record(1, "r2", 0, second(2*time.Minute), v1alpha1.OutcomeRolledBack, "aborted"),
				record(2, "r2", 3*time.Minute, second(4*time.Minute), v1alpha1.OutcomeSucceeded, ""),
			},
		},
	})
}

func TestARecordCountsPodsBytesFailuresAndItsLastStep(t *testing.T) {
	type counts struct {
		pods, failed int32
		bytes        int64
		step         int32
	}
	state := func(p v1alpha1.RolloutPhase, step int32) v1alpha1.RolloutStatus {
		return v1alpha1.RolloutStatus{Revision: "r2", Phase: p, StartTime: micro(0), Step: step}
	}
	for name, c := range map[string]struct {
		state []v1alpha1.RolloutStatus
		tally []tally
		want  counts
	}{
		"the most at one time": {
			[]v1alpha1.RolloutStatus{state(v1alpha1.RolloutProgressing, 0), state(v1alpha1.RolloutProgressing, 1)},
			[]tally{{pods: 3, bytes: 30, steps: 2}, {pods: 1, bytes: 10, failed: 2, steps: 2}}, counts{3, 2, 30, 0},
		},
		"taken back in the second step": {
			[]v1alpha1.RolloutStatus{state(v1alpha1.RolloutProgressing, 1), state(v1alpha1.RolloutRolledBack, 1)},
			[]tally{{pods: 2, bytes: 20, steps: 2}, {failed: 1, steps: 2}}, counts{2, 1, 20, 2},
		},
		"stopped, and one more fails": {
			[]v1alpha1.RolloutStatus{state(v1alpha1.RolloutStopped, 0), state(v1alpha1.RolloutStopped, 0)},
			[]tally{{failed: 1, steps: 1}, {failed: 2, steps: 1}}, counts{0, 2, 0, 1},
		},
		"after the last step": {
			[]v1alpha1.RolloutStatus{state(v1alpha1.RolloutCompleted, 2)}, []tally{{pods: 4, steps: 2}}, counts{4, 0, 0, 0},
		},
		"pods that come later are not its own": {
			[]v1alpha1.RolloutStatus{state(v1alpha1.RolloutCompleted, 0), state(v1alpha1.RolloutCompleted, 0)},
			[]tally{{pods: 4}, {pods: 9}}, counts{pods: 4},
		},
		"it did not come to steps": {
			[]v1alpha1.RolloutStatus{state(v1alpha1.RolloutPrefetching, 0), {Revision: "r3", Phase: v1alpha1.RolloutProgressing,
				StartTime: micro(time.Minute)}},
			[]tally{{steps: 2}, {steps: 2}}, counts{},
		},
	} {
		var history []v1alpha1.RolloutRecord
		var last *v1alpha1.RolloutStatus
		for i, next := range c.state {
			var opening *v1alpha1.RolloutRecord
			if beginsRollout(last, next) {
				opening = &v1alpha1.RolloutRecord{}
			}
			c.tally[i].outcome = outcomeOf(next.Phase)
			history, last = nextHistory(history, last, next, c.tally[i], opening, start), &next
		}
		r := history[0]
		if got := (counts{*r.Pods, *r.FailedPods, *r.Bytes, ptr.Deref(r.EndedStep, 0)}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestBytesThatANodeHeldAreNotReceived(t *testing.T) {
	d := &v1alpha1.Data{}
	for origin, bytes := range map[v1alpha1.DataOrigin]int64{
		v1alpha1.OriginSource: 1, v1alpha1.OriginCache: 10, v1alpha1.OriginPeer: 100, v1alpha1.OriginNode: 1000,
	} {
		d.Status.DataItemsStatus = append(d.Status.DataItemsStatus, v1alpha1.DataItemStatus{Origin: origin, Bytes: bytes})
	}
	if got := receivedBytes(d); got != 111 {
		t.Errorf("%d bytes, want 111", got)
	}
}

func TestTheHistoryKeepsTheNewestRecords(t *testing.T) {
	var s v1alpha1.DataSetStatus
	for i := range 30 {
		write(&s, v1alpha1.RolloutStatus{Revision: fmt.Sprint(i), Phase: v1alpha1.RolloutProgressing, StartTime: micro(0)}, 0)
	}
	if n := len(s.History); n != maxHistory || s.History[0].Revision != "10" || s.History[n-1].Revision != "29" {
		t.Errorf("%d records, from %s", n, s.History[0].Revision)
	}
}

func TestTheAuthorIsTheLastWriterOfTheTemplate(t *testing.T) {
	entry := func(manager, subresource, fields string, after time.Duration) metav1.ManagedFieldsEntry {
		e := metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: second(after), FieldsV1: &metav1.FieldsV1{}}
		e.FieldsV1.SetRawBytes([]byte(fields))
		return e
	}
	const template = `{"f:spec":{"f:template":{"f:dataItems":{}}}}`
	for name, c := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   string
	}{
		"not said": {nil, ""},
		"the last one": {[]metav1.ManagedFieldsEntry{
			entry("flux", "", template, time.Hour), entry("kubectl-edit", "", template, 2*time.Hour), entry("argocd", "", template, 0),
		}, "kubectl-edit"},
		"who paused it later": {[]metav1.ManagedFieldsEntry{
			entry("flux", "", template, 0), entry("kubectl-patch", "", `{"f:spec":{"f:paused":{}}}`, time.Hour),
		}, "flux"},
		"Kuda's own status": {[]metav1.ManagedFieldsEntry{
			entry("flux", "", template, 0), entry("kuda-manager", "status", `{"f:status":{},"f:spec":{"f:template":{}}}`, time.Hour),
		}, "flux"},
		"unreadable fields": {[]metav1.ManagedFieldsEntry{entry("flux", "", template, 0), entry("x", "", "{", time.Hour),
			{Manager: "y", Time: second(0)}}, "flux"},
	} {
		if got := templateAuthor(c.fields); got != c.want {
			t.Errorf("%s: author = %q, want %q", name, got, c.want)
		}
	}
}
