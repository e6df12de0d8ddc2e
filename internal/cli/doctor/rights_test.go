// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/doctor"
)

func TestWithoutAnyRightNothingIsCalledFine(t *testing.T) {
	c := cluster{objects: sound(t), refuse: forbid("*"), probe: forbid("*")("datasets", "")}
	out, err := c.run(t)
	clitest.WantExit(t, err, frame.ExitError)
	if !strings.Contains(out, "0 problems, 0 warnings, 0 fine") {
		t.Errorf("printed\n%s", out)
	}
	for _, want := range []string{"nothing could be looked at", "Deployment", "Lease", "DataSet"} {
		if line := frame.Line(err); !strings.Contains(line, want) {
			t.Errorf("no %q in %q", want, line)
		}
	}
	out, err = c.run(t, "-o", "json")
	clitest.WantExit(t, err, frame.ExitError)
	var report doctor.Report
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil || report.Summary.Unknown != len(report.Findings) {
		t.Errorf("%v: %+v", jsonErr, report.Summary)
	}
}

func TestDoctorOfOneDataSetNeedsItAndNothingMore(t *testing.T) {
	for name, test := range map[string]struct {
		kinds []string
		code  int
	}{
		"all but the DataSet": {[]string{"Pod", "Data", "Secret", "ConfigMap", "Namespace", "Deployment", "Event"}, frame.ExitDone},
		"none":                {[]string{"*"}, frame.ExitError},
	} {
		objects := replace(sound(t), delivered("models"))
		out, err := cluster{objects: objects, refuse: forbid(test.kinds...)}.run(t, "models", "-n", "shop")
		if frame.Code(err) != test.code {
			t.Errorf("%s: exit code %d (%v), printed\n%s", name, frame.Code(err), err, out)
		}
	}
}

// delivered is a DataSet whose first revision all pods have.
func delivered(name string) *v1alpha1.DataSet {
	d := dataSet("shop", name, condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "1/1 pods have their data"))
	d.Status.Replicas, d.Status.Success, d.Status.UpdatedReplicas, d.Status.Ready = 1, 1, 1, "1/1"
	d.Status.Rollout = &v1alpha1.RolloutStatus{Revision: d.Status.UpdateRevision, Phase: v1alpha1.RolloutCompleted}
	return d
}

func TestARolloutIsNotCalledCompletedWhereItsPodsLackTheirData(t *testing.T) {
	good := delivered("models")
	out, err := cluster{objects: replace(sound(t), good)}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitDone)
	if !strings.Contains(out, "ok       DataSet shop/models: the rollout of models-2 is Completed") {
		t.Errorf("printed\n%s", out)
	}
	bad := delivered("models")
	bad.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonDeliveryFailed, "0/1")}
	bad.Status.Conditions[0].ObservedGeneration = 1
	bad.Status.Success, bad.Status.UpdatedReplicas, bad.Status.Ready = 0, 0, "0/1"
	lost := failing("web-0", v1alpha1.ReasonNotFound, "models/v9: nothing is there")
	lost.Status.ObservedRevision = lost.Spec.Revision
	out, err = cluster{objects: replace(sound(t), bad, lost)}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitNegative)
	if strings.Contains(out, "Completed") ||
		!strings.Contains(out, "problem  DataSet shop/models: the rollout of models-2 is Delivering: pod web-0, item default/weights: ") {
		t.Errorf("printed\n%s", out)
	}
}

func TestPodsOfAnEarlierInstallationAreToBeRestarted(t *testing.T) {
	objects := replace(sound(t), delivered("models"))
	for _, pod := range []string{"web-0", "web-1"} {
		objects = append(objects, data("models", pod, condition(v1alpha1.ConditionReady, "Unknown", v1alpha1.ReasonAuthorityChanged, "x509")))
	}
	for _, args := range [][]string{nil, {"models", "-n", "shop"}} {
		out, err := cluster{objects: objects, probe: errRefused}.run(t, args...)
		clitest.WantExit(t, err, frame.ExitNegative)
		for _, want := range []string{"web-0 and 1 more of DataSet models: AuthorityChanged", "certificate authority",
			"kubectl delete pods -n shop web-0 web-1"} {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", args, want, out)
			}
		}
	}
}

func TestConditionsThatSumUpOthersAreNotRepeated(t *testing.T) {
	d := delivered("models")
	d.Status.Conditions = append(d.Status.Conditions, condition(v1alpha1.ConditionReconciling, "True", "SomeReason", "under way"),
		condition(v1alpha1.ConditionStalled, "False", "NotStalled", "no"))
	out, _ := cluster{objects: replace(sound(t), d)}.run(t, "models", "-n", "shop")
	if strings.Contains(out, "Reconciling") || strings.Contains(out, "Stalled") {
		t.Errorf("printed\n%s", out)
	}
	d.Status.Conditions[2] = condition(v1alpha1.ConditionStalled, "True", v1alpha1.ReasonProgressDeadlineExceeded, "no pod came further")
	d.Status.Conditions[2].ObservedGeneration = d.Generation
	out, err := cluster{objects: replace(sound(t), d)}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitNegative)
	if !strings.Contains(out, "no pod came further") || strings.Contains(out, "does not know the reason") {
		t.Errorf("printed\n%s", out)
	}
}
