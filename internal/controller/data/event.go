// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// actionDeliver is what the controller was doing.
const actionDeliver = "Deliver"

// news is one event about a Data's pod.
type news struct {
	kind, reason, note string
}

// failureNews returns which items failed between two states of a Data.
func (m *memory) failureNews(before, after *v1alpha1.Data) []news {
	var out []news
	for _, item := range m.newFailures(before, after) {
		out = append(out, news{corev1.EventTypeWarning, v1alpha1.EventItemFailed, fmt.Sprintf(
			"item %s/%s of DataSet %s: %s: %s", item.Namespace, item.Name, assignment.DataSet(after), item.Reason, item.Message)})
	}
	return out
}

// isNewlyDelivered reports whether the pod got the last item of its revision between two
// states of a Data.
func isNewlyDelivered(before, after *v1alpha1.Data) bool {
	return assignment.Delivered(after) && (!assignment.Delivered(before) || before.Spec.Revision != after.Spec.Revision)
}

// podOf is the pod of a Data, as far as an event needs it.
func podOf(d *v1alpha1.Data) *corev1.Pod {
	p := &corev1.Pod{}
	p.Name, p.Namespace, p.UID = d.Spec.PodName, d.Namespace, assignment.PodUID(d)
	p.APIVersion, p.Kind = "v1", "Pod"
	return p
}
