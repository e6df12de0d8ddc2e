// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// Entry is one rollout, or a revision of which no rollout is remembered.
type Entry struct {
	Number   int64  `json:"number,omitempty"`
	Revision string `json:"revision"`
	// Role of the revision now: update, stable, or both.
	Role string `json:"role,omitempty"`
	// Kept says that undo can go back to it.
	Kept      bool                    `json:"kept"`
	Outcome   v1alpha1.RolloutOutcome `json:"outcome,omitempty"`
	StartTime *metav1.Time            `json:"startTime,omitempty"`
	EndTime   *metav1.Time            `json:"endTime,omitempty"`
	By        string                  `json:"by,omitempty"`
	Cause     string                  `json:"changeCause,omitempty"`
	Message   string                  `json:"message,omitempty"`
}

// historyEntries joins the records with the revisions, the oldest first.
func historyEntries(d *v1alpha1.DataSet, revisions []*appsv1.ControllerRevision) []Entry {
	kept := make(map[string]*appsv1.ControllerRevision, len(revisions))
	for _, r := range revisions {
		kept[r.Name] = r
	}
	var list []Entry
	recorded := make(map[string]bool, len(d.Status.History))
	last := make(map[string]int, len(d.Status.History))
	for i, record := range d.Status.History {
		recorded[record.Revision] = true
		last[record.Revision] = i
	}
	for _, r := range revisions {
		if !recorded[r.Name] {
			created := r.CreationTimestamp
			list = append(list, Entry{
				Number: r.Revision, Revision: r.Name, Role: revisionRole(d, r.Name), Kept: true,
				StartTime: &created, Cause: r.Annotations[v1alpha1.AnnotationChangeCause],
			})
		}
	}
	for i, record := range d.Status.History {
		e := Entry{
			Number: record.Number, Revision: record.Revision, Kept: kept[record.Revision] != nil, Outcome: record.Outcome,
			StartTime: record.StartTime, EndTime: record.EndTime, By: record.By, Cause: record.ChangeCause, Message: record.Message,
		}
		if last[record.Revision] == i {
			e.Role = revisionRole(d, record.Revision)
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

func revisionRole(d *v1alpha1.DataSet, name string) string {
	update, stable := name == d.Status.UpdateRevision, name == d.Status.CurrentRevision
	switch {
	case update && stable:
		return "current"
	case update:
		return "update"
	case stable:
		return "stable"
	}
	return ""
}

// entryTable shows the entries; wide adds names and why each ended so.
func entryTable(list []Entry, now time.Time, wide bool) *frame.Table {
	t := &frame.Table{Header: []string{"REVISION", "NAME", "ROLE", "OUTCOME", "STARTED", "TOOK", "BY", "CAUSE", "MESSAGE"}}
	for _, e := range list {
		name, message := "", ""
		if wide {
			name, message = e.Revision, e.Message
		}
		number := "-"
		if e.Number > 0 {
			number = strconv.FormatInt(e.Number, 10)
		}
		outcome := string(e.Outcome)
		if !e.Kept {
			outcome += " (not kept)"
		}
		t.Add(frame.Text(number), frame.Text(name), frame.Toned(frame.Strong, e.Role), frame.Toned(outcomeTone(e.Outcome), outcome),
			frame.Text(startText(e, now)), frame.Text(durationText(e, now)), frame.Text(e.By), frame.Text(e.Cause), frame.Text(message))
	}
	return t
}

func startText(e Entry, now time.Time) string {
	if e.StartTime.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(e.StartTime.Time)) + " ago"
}

func durationText(e Entry, now time.Time) string {
	switch {
	case e.StartTime.IsZero() || e.Outcome == "":
		return ""
	case !e.EndTime.IsZero():
		return duration.HumanDuration(e.EndTime.Sub(e.StartTime.Time))
	case e.Outcome == v1alpha1.OutcomeRunning:
		return duration.HumanDuration(now.Sub(e.StartTime.Time)) + " so far"
	}
	return ""
}

func outcomeTone(o v1alpha1.RolloutOutcome) frame.Tone {
	switch o {
	case v1alpha1.OutcomeSucceeded:
		return frame.Good
	case v1alpha1.OutcomeRolledBack:
		return frame.Bad
	case v1alpha1.OutcomeRunning:
		return frame.Warning
	}
	return frame.Plain
}
