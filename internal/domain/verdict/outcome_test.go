// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
)

func reached(name, how string) *appsv1.ControllerRevision {
	annotations := map[string]string{revision.AnnotationReached: how}
	return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}}
}

func TestARevisionSucceededWhenAPodHadItAndNoneFailedIt(t *testing.T) {
	records := func(outcomes ...v1alpha1.RolloutOutcome) change {
		return func(d *v1alpha1.DataSet) {
			for i, o := range outcomes {
				d.Status.History = append(d.Status.History, v1alpha1.RolloutRecord{Revision: []string{first, second}[i], Outcome: o})
			}
		}
	}
	had, told := reached(first, revision.ReachedDelivered), reached(first, revision.ReachedAssigned)
	for name, test := range map[string]struct {
		changes  []change
		revision *appsv1.ControllerRevision
		outcome  v1alpha1.RolloutOutcome
		success  bool
	}{
		"delivered":     {[]change{delivered, records(v1alpha1.OutcomeSucceeded)}, had, v1alpha1.OutcomeSucceeded, true},
		"no pod had it": {[]change{records(v1alpha1.OutcomeSucceeded)}, told, v1alpha1.OutcomeRunning, false},
		"and it was left": {[]change{updating(), records(v1alpha1.OutcomeSucceeded, v1alpha1.OutcomeRunning)}, told,
			v1alpha1.OutcomeSuperseded, false},
		"stopped": {[]change{in(v1alpha1.RolloutStopped), records(v1alpha1.OutcomeRunning)}, had,
			v1alpha1.OutcomeStopped, false},
		"stopped, and so recorded": {[]change{in(v1alpha1.RolloutStopped), records(v1alpha1.OutcomeStopped)}, had,
			v1alpha1.OutcomeStopped, false},
		"running": {[]change{records(v1alpha1.OutcomeRunning)}, had, v1alpha1.OutcomeRunning, true},
		"rolled back": {[]change{updating(), records(v1alpha1.OutcomeRolledBack, v1alpha1.OutcomeRunning)}, had,
			v1alpha1.OutcomeRolledBack, false},
		"superseded": {[]change{updating(), records(v1alpha1.OutcomeSuperseded, v1alpha1.OutcomeRunning)}, had,
			v1alpha1.OutcomeSuperseded, true},
		"of a longer past than is remembered": {nil, had, "", true},
		"of a past in which no pod had it":    {nil, told, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := delivering(test.changes...)
			if len(d.Status.History) > 0 {
				if got := Outcome(d, 0, test.revision); got != test.outcome {
					t.Errorf("outcome %s, want %s", got, test.outcome)
				}
			}
			if got := HasSucceeded(d, test.revision); got != test.success {
				t.Errorf("has succeeded: %t, want %t", got, test.success)
			}
		})
	}
}

func TestTheRecordIsBelievedOfARevisionThatIsNotKept(t *testing.T) {
	d := delivering(func(d *v1alpha1.DataSet) {
		d.Status.History = []v1alpha1.RolloutRecord{{Revision: first, Outcome: v1alpha1.OutcomeSucceeded}}
	})
	if got := Outcome(d, 0, nil); got != v1alpha1.OutcomeSucceeded {
		t.Errorf("outcome %s", got)
	}
}
