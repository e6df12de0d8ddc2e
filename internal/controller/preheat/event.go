// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// actionPreheat is what the controller was doing.
const actionPreheat = "Preheat"

// recordEvents tells of a status that is written: that all nodes have the data, and
// of each node that failed for a reason that was not told yet.
func (r *Reconciler) recordEvents(d *v1alpha1.DataSet, before v1alpha1.DataSetStatus) {
	for _, n := range newFailures(before.Preheat, d.Status.Preheat) {
		r.recorder.Eventf(d, nil, corev1.EventTypeWarning, v1alpha1.EventPreheatFailed, actionPreheat, "%s", n)
	}
	if isPreheated(d.Status) && (!isPreheated(before) || before.Preheat == nil || before.Preheat.Revision != d.Status.Preheat.Revision) {
		r.recorder.Eventf(d, nil, corev1.EventTypeNormal, v1alpha1.EventPreheated, actionPreheat,
			"%d nodes have revision %s", d.Status.Preheat.Ready, d.Status.Preheat.Revision)
	}
}

func isPreheated(s v1alpha1.DataSetStatus) bool {
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionPreheated)
	return c != nil && c.Reason == v1alpha1.ReasonPreheated && s.Preheat != nil
}

// newFailures are the nodes that failed since. One that is tried again keeps its
// reason until it has another, so failing as before is not news.
func newFailures(before, after *v1alpha1.PreheatStatus) []string {
	if after == nil {
		return nil
	}
	known := map[string]string{}
	if before != nil && before.Revision == after.Revision {
		for _, n := range before.Nodes {
			known[n.Node] = n.Reason
		}
	}
	var notes []string
	for _, n := range after.Nodes {
		if n.Phase == v1alpha1.PreheatFailed && known[n.Node] != n.Reason {
			notes = append(notes, fmt.Sprintf("node %s did not get revision %s: %s: %s", n.Node, after.Revision, n.Reason, n.Message))
		}
	}
	return notes
}
