// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/verdict"
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
	// By is the user who changed the DataSet, or, where no webhook noted that, the
	// field manager that wrote it.
	By string `json:"by,omitempty"`
	// ByManager says that By is a field manager.
	ByManager bool `json:"byManager,omitempty"`
	// Pods that had it, FailedPods, Bytes of its items, and the EndedStep at which it
	// ended; 0: at none.
	Pods       int32  `json:"pods,omitempty"`
	FailedPods int32  `json:"failedPods,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"`
	EndedStep  int64  `json:"endedStep,omitempty"`
	Cause      string `json:"changeCause,omitempty"`
	Message    string `json:"message,omitempty"`
}

// Entries joins the records with the revisions, the oldest first. Where these are
// not known, nothing is said of what is kept.
func Entries(d *v1alpha1.DataSet, revisions []*appsv1.ControllerRevision, known bool) []Entry {
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
			Number: record.Number, Revision: record.Revision, Kept: !known || kept[record.Revision] != nil,
			Outcome:   verdict.Outcome(d, i, kept[record.Revision]),
			StartTime: record.StartTime, EndTime: record.EndTime, Cause: record.ChangeCause, Message: record.Message,
			By: cmp.Or(ptr.Deref(record.ChangedBy, ""), record.By), ByManager: record.ChangedBy == nil && record.By != "",
			Pods: ptr.Deref(record.Pods, 0), FailedPods: ptr.Deref(record.FailedPods, 0),
			Bytes: ptr.Deref(record.Bytes, 0), EndedStep: int64(ptr.Deref(record.EndedStep, 0)),
		}
		if e.Outcome == v1alpha1.OutcomeRunning && record.Outcome != e.Outcome {
			e.EndTime = nil // the end that was noted is not one
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
