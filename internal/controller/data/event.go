// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/assignment"
)

// Recorder is the part of an events recorder that this controller uses.
type Recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

const (
	actionDeliver = "Deliver"
	// maxNoteLength is what the events API accepts, less some room.
	maxNoteLength = 1000
)

// news is one event about a Data's pod.
type news struct {
	kind, reason, note string
}

// transitions answers what became of the items between two states of a Data.
func (m *memory) transitions(before, after *v1alpha1.Data) []news {
	var out []news
	for _, item := range m.newFailures(before, after) {
		out = append(out, news{corev1.EventTypeWarning, v1alpha1.EventItemFailed, cut(fmt.Sprintf(
			"item %s/%s of DataSet %s: %s: %s", item.Namespace, item.Name, assignment.DataSet(after), item.Reason, item.Message))})
	}
	if assignment.Delivered(after) && (!assignment.Delivered(before) || before.Spec.Revision != after.Spec.Revision) {
		out = append(out, news{corev1.EventTypeNormal, v1alpha1.EventItemsDelivered,
			assignment.DeliveredMessage(after.Status.DataItems, after.Spec.Revision)})
	}
	return out
}

func cut(note string) string {
	if len(note) <= maxNoteLength {
		return note
	}
	return strings.ToValidUTF8(note[:maxNoteLength], "") + "…"
}

// podOf is the pod of a Data, as far as an event needs it.
func podOf(d *v1alpha1.Data) *corev1.Pod {
	p := &corev1.Pod{}
	p.Name, p.Namespace, p.UID = d.Spec.PodName, d.Namespace, assignment.PodUID(d)
	p.APIVersion, p.Kind = "v1", "Pod"
	return p
}
