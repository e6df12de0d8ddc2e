// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// heard is a recorder that keeps what it is told.
type heard struct{ all []string }

func (h *heard) Eventf(regarding, _ runtime.Object, _, reason, _, note string, args ...any) {
	h.all = append(h.all, fmt.Sprintf("%T %s: ", regarding, reason)+fmt.Sprintf(note, args...))
}

// deliver returns two states of a Data, before and after its delivery.
func deliver(pod string) (before, after *v1alpha1.Data) {
	d, _, _ := trio()
	d.Spec.PodName = pod
	d.OwnerReferences = []metav1.OwnerReference{{Kind: "DataSet", Name: "models", UID: "set", Controller: new(true)}}
	after = d.DeepCopy()
	after.Status = v1alpha1.DataStatus{ObservedRevision: "r1", DataItems: 1, Success: 1, DataItemsStatus: []v1alpha1.DataItemStatus{
		{Namespace: "default", Name: "m", Phase: v1alpha1.DataSuccess},
	}}
	return d, after
}

func TestPodsThatAreDeliveredTogetherMakeOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{}
		p := New(Options{Recorder: h}).eventPredicate()
		for n := range 1000 {
			before, after := deliver(fmt.Sprintf("web-%03d", n))
			p.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(waveTime)
		synctest.Wait()
		want := []string{"*v1alpha1.DataSet DataDelivered: 1000 pods have every item of revision r1: web-000, web-001, web-002, web-003, " +
			"web-004 and 995 more"}
		if !slices.Equal(h.all, want) {
			t.Errorf("events: %q", h.all)
		}
	})
}

func TestAPodThatIsDeliveredAloneHasItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{}
		p := New(Options{Recorder: h}).eventPredicate()
		for _, pod := range []string{"web-0", "web-1"} {
			before, after := deliver(pod)
			p.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
			time.Sleep(2 * waveTime)
		}
		synctest.Wait()
		want := "*v1.Pod DataDelivered: the pod has its item of revision r1"
		if !slices.Equal(h.all, []string{want, want}) {
			t.Errorf("events: %q", h.all)
		}
	})
}
