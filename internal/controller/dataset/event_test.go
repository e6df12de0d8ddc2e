// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestEachTransitionOfARolloutHasItsEvents(t *testing.T) {
	half := intstr.FromString("50%")
	steps := []v1alpha1.RolloutStep{
		{Partition: &half},
		{Pause: &v1alpha1.PauseStep{}},
		{Pause: &v1alpha1.PauseStep{Duration: &metav1.Duration{Duration: time.Minute}}},
		{Analysis: &v1alpha1.AnalysisStep{Count: 3}},
	}
	state := func(phase v1alpha1.RolloutPhase, step int32) *v1alpha1.RolloutStatus {
		return &v1alpha1.RolloutStatus{Revision: "r2", Phase: phase, Step: step, StartTime: micro(0), Message: "why"}
	}
	done := &v1alpha1.RolloutStatus{Revision: "r1", Phase: v1alpha1.RolloutCompleted, StartTime: micro(-time.Hour)}
	const (
		prefetching = v1alpha1.RolloutPrefetching
		progressing = v1alpha1.RolloutProgressing
		stopped     = v1alpha1.RolloutStopped
		rollingBack = v1alpha1.RolloutRollingBack
		rolledBack  = v1alpha1.RolloutRolledBack
		completed   = v1alpha1.RolloutCompleted
	)
	started := "RolloutStarted: rolling out revision r2"
	for name, c := range map[string]struct {
		before, after *v1alpha1.RolloutStatus
		want          []string
	}{
		"begins":                 {done, state(progressing, 0), []string{started, "RolloutStep: step 1 of 4: move pods until 50% are left"}},
		"begins with a download": {done, state(prefetching, 0), []string{started}},
		"downloaded": {state(prefetching, 0), state(progressing, 0),
			[]string{"RolloutStep: step 1 of 4: move pods until 50% are left"}},
		"nothing": {state(progressing, 1), state(progressing, 1), nil},
		"a pause": {state(progressing, 0), state(progressing, 1),
			[]string{"RolloutStep: step 2 of 4: pause until promote is requested"}},
		"a timed pause":         {state(progressing, 1), state(progressing, 2), []string{"RolloutStep: step 3 of 4: pause for 1m0s"}},
		"an analysis":           {state(progressing, 2), state(progressing, 3), []string{"RolloutStep: step 4 of 4: take 3 measurements"}},
		"the last step is done": {state(progressing, 3), state(progressing, 4), nil},
		"stops": {state(progressing, 4), state(stopped, 4),
			[]string{"Warning RolloutStopped: stopped the rollout of revision r2: why"}},
		"goes on":    {state(stopped, 4), state(progressing, 4), nil},
		"rolls back": {state(stopped, 4), state(rollingBack, 4), []string{"Warning RollingBack: moving pods back to revision r1: why"}},
		"is back": {state(rollingBack, 4), state(rolledBack, 4), []string{
			"RolledBack: every pod is on revision r1 again; revision r2 is not tried again until the template changes or retry is requested"}},
		"had moved no pod": {state(progressing, 0), state(rolledBack, 0), []string{
			"Warning RollingBack: giving up revision r2: why",
			"RolledBack: every pod is on revision r1 again; revision r2 is not tried again until the template changes or retry is requested"}},
		"is tried again": {state(rolledBack, 4), state(progressing, 4), []string{started}},
		"completes":      {state(progressing, 4), state(completed, 4), []string{"RolloutCompleted: every pod has revision r2"}},
		"the first one":  {nil, state(completed, 0), nil},
	} {
		before := v1alpha1.DataSetStatus{Rollout: c.before}
		if c.before != nil {
			before.CurrentRevision = "r1"
		}
		var got []string
		for _, n := range rolloutTransitions(before, v1alpha1.DataSetStatus{CurrentRevision: "r1", Rollout: c.after}, steps, "") {
			kind := ""
			if n.kind == corev1.EventTypeWarning {
				kind = "Warning "
			}
			got = append(got, kind+n.reason+": "+n.note)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
