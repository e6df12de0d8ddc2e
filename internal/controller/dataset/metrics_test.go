// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestEachSwitchIsMeasuredOnce(t *testing.T) {
	var s switching
	state := v1alpha1.RolloutStatus{Revision: "r2", StartTime: micro(0)}
	moved := func(uid, seen string) *replica {
		return &replica{
			pod:      &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}},
			data:     &v1alpha1.Data{Spec: v1alpha1.DataSpec{Baseline: &v1alpha1.PodHealth{}}, Status: v1alpha1.DataStatus{CurrentRevision: seen}},
			revision: "r2",
		}
	}
	unmoved := moved("c", "r1")
	unmoved.data.Spec.Baseline = nil
	pass := func(what string, want int, live ...*replica) {
		t.Helper()
		if got := s.countSwitched(key, state, live, state.StartTime.Add(time.Second)); got != want {
			t.Errorf("%s: %d pods arrived, want %d", what, got, want)
		}
	}
	// It began before this process was the leader.
	pass("after a restart", 0, moved("a", "r1"), moved("b", "r1"), moved("old", "r2"))
	pass("one arrived", 1, moved("a", "r2"), moved("b", "r1"), moved("old", "r2"), unmoved)
	pass("still there", 0, moved("a", "r2"), moved("b", "r1"))

	later := metav1.NewMicroTime(s.since.Add(time.Minute))
	state.StartTime = &later
	pass("before a pass looked", 2, moved("a", "r2"), moved("b", "r2"), moved("c", "r1"))
	state.Phase = v1alpha1.RolloutCompleted
	pass("the last one", 1, moved("a", "r2"), moved("b", "r2"), moved("c", "r2"))
	pass("after its end", 0, moved("a", "r2"), moved("new", "r2"))
	if len(s.sets[key].pods) != 0 {
		t.Errorf("what is over is remembered: %v", s.sets)
	}
	s.forgetDataSet(key)
	if len(s.sets) != 0 {
		t.Errorf("a DataSet that is gone is remembered: %v", s.sets)
	}
}
