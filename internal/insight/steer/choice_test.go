// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func say(verb string) string { return "<" + verb + ">" }

// rollout is a DataSet whose rollout is in that phase.
func rollout(phase v1alpha1.RolloutPhase, change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
	d := &v1alpha1.DataSet{}
	d.Name, d.Generation = "models", 1
	d.Spec.UpdateStrategy.Steps = []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}}
	d.Status = v1alpha1.DataSetStatus{ObservedGeneration: 1, CurrentRevision: "models-1", UpdateRevision: "models-2", Replicas: 4,
		UpdatedReplicas: 1, Rollout: &v1alpha1.RolloutStatus{Revision: "models-2", Phase: phase, Reason: "PodsFailed"}}
	for _, c := range change {
		c(d)
	}
	return d
}

func TestEachChangeIsOfferedOnlyWhereItMakesSense(t *testing.T) {
	paused := func(d *v1alpha1.DataSet) { d.Spec.Paused = true }
	edited := func(d *v1alpha1.DataSet) { d.Generation++ }
	for name, test := range map[string]struct {
		d    *v1alpha1.DataSet
		want map[string]Code
	}{
		"at a step": {rollout(v1alpha1.RolloutProgressing), map[string]Code{VerbResume: AtStep, VerbRetry: NothingFailed,
			VerbUndo: NothingToGoBackTo}},
		"paused": {rollout(v1alpha1.RolloutProgressing, paused), map[string]Code{VerbPause: AlreadyPaused, VerbPromote: Paused,
			VerbRetry: NothingFailed, VerbUndo: NothingToGoBackTo}},
		"complete": {rollout(v1alpha1.RolloutCompleted), map[string]Code{VerbResume: NotPaused, VerbPromote: Complete, VerbAbort: Complete,
			VerbRetry: NothingFailed, VerbUndo: NothingToGoBackTo}},
		"stopped": {rollout(v1alpha1.RolloutStopped), map[string]Code{VerbResume: RolloutFailed, VerbPromote: RolloutFailed,
			VerbUndo: NothingToGoBackTo}},
		"rolled back": {rollout(v1alpha1.RolloutRolledBack), map[string]Code{VerbResume: RolloutFailed, VerbPromote: RolledBack,
			VerbAbort: RolledBack, VerbUndo: NothingToGoBackTo}},
		"not looked at": {rollout(v1alpha1.RolloutProgressing, edited), map[string]Code{VerbResume: AtStep, VerbPromote: Unobserved,
			VerbAbort: Unobserved, VerbRetry: Unobserved, VerbUndo: NothingToGoBackTo}},
		"no rollout": {&v1alpha1.DataSet{}, map[string]Code{VerbResume: NotPaused, VerbPromote: Unobserved, VerbAbort: Unobserved,
			VerbRetry: Unobserved, VerbUndo: NothingToGoBackTo}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range Choices(test.d, nil, nil, say) {
				want, off := test.want[c.Verb]
				if c.Sensible == off || c.Code != want || off && c.Message == "" || !off && c.Effect == "" {
					t.Errorf("%s: %+v, want %q", c.Verb, c, want)
				}
			}
		})
	}
}

func TestARefusalNamesTheOtherChangeInTheCallersWords(t *testing.T) {
	err := CheckPause(rollout(v1alpha1.RolloutProgressing), false, say)
	if want := "DataSet models is not paused; it is at step 1 of 1, end that by: <promote>"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
