// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/verdict"
)

// Input is what a View is computed from.
type Input struct {
	DataSet *v1alpha1.DataSet
	Data    []*v1alpha1.Data
	// Numbers of revisions by name, beside those that the history knows.
	Numbers map[string]int64
	// Unread says what could not be read, and so is left out.
	Unread []string
	Now    time.Time
	// Program is how the user calls the command line.
	Program string
}

// View is all that is shown of one DataSet. It is also what -o json prints.
type View struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`

	// Verdict on what the present spec asks for; status -w ends by it.
	Verdict verdict.Verdict `json:"verdict"`
	// Phase of the rollout; Pending while the manager has not looked at the spec.
	Phase  v1alpha1.RolloutPhase `json:"phase,omitempty"`
	Reason string                `json:"reason,omitempty"`
	// Message says why, for people.
	Message string `json:"message,omitempty"`
	Paused  bool   `json:"paused,omitempty"`
	Update  Mark   `json:"update"`
	Stable  Mark   `json:"stable"`
	Step    *Step  `json:"step,omitempty"`

	StartTime *metav1.MicroTime `json:"startTime,omitempty"`
	EndTime   *metav1.MicroTime `json:"endTime,omitempty"`
	// Deadline is when it fails if no pod comes further until then.
	Deadline *metav1.Time `json:"deadline,omitempty"`
	// Waits says what it waits for.
	Waits string `json:"waitsFor,omitempty"`

	Ready    string   `json:"ready,omitempty"`
	Replicas int32    `json:"replicas"`
	Updated  int32    `json:"updated"`
	Counts   []Count  `json:"counts,omitempty"`
	Moving   Progress `json:"moving,omitzero"`
	// Preheat is how far spec.preheat is.
	Preheat *v1alpha1.PreheatStatus `json:"preheat,omitempty"`
	// Alerts are the conditions that need attention.
	Alerts []Alert `json:"alerts,omitempty"`
	// Failure is that of the first pod that failed.
	Failure *Failure `json:"failure,omitempty"`
	// Pods, those that something happens with first.
	Pods []Pod `json:"pods,omitempty"`
	// Unread says what is left out because the user may not read it.
	Unread []string `json:"unread,omitempty"`
}

// Mark is a revision.
type Mark struct {
	Name   string `json:"name,omitempty"`
	Number int64  `json:"number,omitempty"`
	Cause  string `json:"cause,omitempty"`
	By     string `json:"by,omitempty"`
}

// Step is the step that is being taken.
type Step struct {
	// Index counts from 1.
	Index int    `json:"index"`
	Of    int    `json:"of"`
	Kind  string `json:"kind"`
}

// Count is how many pods are in a state.
type Count struct {
	State State `json:"state"`
	Pods  int   `json:"pods"`
}

// Alert is a condition that needs attention.
type Alert struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Progress is bytes on disk and bytes to have, and how fast they come.
type Progress struct {
	Bytes int64 `json:"bytes"`
	Total int64 `json:"total"`
	// Rate in bytes per second; 0 where it is not known.
	Rate int64 `json:"rate,omitempty"`
	// Left in seconds; 0 where it is not known.
	Left int64 `json:"secondsLeft,omitempty"`
}

// Build computes the view.
func Build(in Input) View {
	d := in.DataSet
	s := &d.Status
	v := View{
		Namespace: d.Namespace, Name: d.Name, Paused: d.Spec.Paused,
		Update: revisionMark(in, s.UpdateRevision), Stable: revisionMark(in, s.CurrentRevision),
		Ready: s.Ready, Replicas: s.Replicas, Updated: s.UpdatedReplicas,
		Preheat: s.Preheat, Alerts: conditionAlerts(d), Pods: []Pod{}, Unread: in.Unread,
		Verdict: verdict.Judge(d, in.Data),
	}
	v.Phase = verdict.Phase(d, v.Verdict)
	if r := s.Rollout; r != nil {
		v.Reason, v.Message = r.Reason, r.Message
		v.StartTime, v.EndTime = r.StartTime, r.EndTime
		v.Step = buildStep(d)
		v.Deadline = deadlineTime(d)
	}
	counts := map[State]int{}
	for _, data := range in.Data {
		p := buildPod(d, data, v.revisionLabels(in))
		counts[p.State]++
		if p.State.IsMoving() {
			v.Moving.Bytes += p.Progress.Bytes
			v.Moving.Total += p.Progress.Total
		}
		v.Pods = append(v.Pods, p)
	}
	slices.SortFunc(v.Pods, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)), strings.Compare(a.Name, b.Name))
	})
	for _, state := range order {
		if counts[state] > 0 {
			v.Counts = append(v.Counts, Count{State: state, Pods: counts[state]})
		}
	}
	v.Waits = describeWait(in, &v, counts)
	v.Failure = firstFailure(in, &v)
	return v
}

// HasFailed reports whether the rollout ended without what the spec asks for.
func (v *View) HasFailed() bool { return v.Verdict.State == verdict.Failed }

// HasEnded reports whether nothing more happens by itself.
func (v *View) HasEnded() bool { return v.HasFailed() || v.Verdict.State == verdict.Done }

// revisionLabels returns what a revision is called in a line.
func (v *View) revisionLabels(in Input) func(name string) string {
	return func(name string) string { return revisionMark(in, name).Label(in.DataSet.Name) }
}

// revisionMark gathers what is known of a revision; the latest record counts.
func revisionMark(in Input, name string) Mark {
	m := Mark{Name: name, Number: in.Numbers[name]}
	for _, record := range slices.Backward(in.DataSet.Status.History) {
		if record.Revision == name {
			m.Number = cmp.Or(m.Number, record.Number)
			m.Cause, m.By = record.ChangeCause, ptr.Deref(record.ChangedBy, "")
			if m.By == "" && record.By != "" {
				m.By = "(" + record.By + ")" // a program, as history shows it
			}
			break
		}
	}
	return m
}

// Label is the number, or the hash in the name where no number is known.
func (m Mark) Label(dataset string) string {
	if m.Number > 0 {
		return formatInt(m.Number)
	}
	return strings.TrimPrefix(m.Name, dataset+"-")
}

// conditionAlerts are the conditions that need attention, but for what the rollout's
// own message says.
func conditionAlerts(d *v1alpha1.DataSet) []Alert {
	var found []Alert
	progressing := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionProgressing)
	for _, c := range d.Status.Conditions {
		wrong := false
		switch c.Type {
		case v1alpha1.ConditionReady:
			waits := progressing != nil && progressing.Reason == c.Reason && c.Reason != v1alpha1.ReasonDeliveryFailed
			wrong = c.Status == metav1.ConditionFalse && c.Reason != v1alpha1.ReasonDelivering && !waits
		case v1alpha1.ConditionInjected, v1alpha1.ConditionCredentialsAvailable:
			wrong = c.Status == metav1.ConditionFalse
		case v1alpha1.ConditionSourceDrifted, v1alpha1.ConditionRolledBack, v1alpha1.ConditionCacheDegraded:
			wrong = c.Status == metav1.ConditionTrue
		case v1alpha1.ConditionProgressing:
			wrong = c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonProgressDeadlineExceeded
		case v1alpha1.ConditionPreheated:
			wrong = c.Status == metav1.ConditionFalse && c.Reason != v1alpha1.ReasonPreheating
		}
		if wrong {
			found = append(found, Alert{Type: c.Type, Reason: c.Reason, Message: c.Message})
		}
	}
	return found
}
