// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/insight/doctor"
)

func TestASoundInstallationHasNoProblems(t *testing.T) {
	out, err := cluster{objects: sound(t), probe: errRefused}.run(t)
	clitest.WantExit(t, err, frame.ExitDone)
	golden.Compare(t, "sound.txt", out)
}

func TestEachProblemOfABrokenInstallationIsFound(t *testing.T) {
	objects := replace(sound(t),
		deployment(managerName, "v0.1.0", 2, 0), deployment(webhookName, "v0.2.0", 2, 1),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop",
			Labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab", Labels: map[string]string{v1alpha1.LabelInjection: "enabled"}}},
		dataSet("shop", "models",
			condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonDeliveryFailed, "3/4 pods have their data"),
			condition(v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonPodsFailed, "1 moved pod failed: web-2"),
			condition(v1alpha1.ConditionInjected, "False", v1alpha1.ReasonPodsNotInjected, "1 matching pods lack the runtime: web-9")),
		data("models", "web-1", condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonRuntimeNotConnected, "has not reported")),
		data("models", "web-2", condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonRuntimeNotConnected, "has not reported")),
		data("models", "web-3"),
		data("models", "web-4", condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonDownloading, "42%")),
	)
	for _, o := range objects {
		switch o := o.(type) {
		case *admissionregistrationv1.ValidatingWebhookConfiguration:
			o.Webhooks[0].ClientConfig.CABundle = certificate(t, now.Add(400*24*time.Hour))
		case *unstructured.Unstructured:
			if strings.HasPrefix(o.GetName(), "datasets.") {
				o.SetName("other.data.kuda.io")
			}
		case *v1alpha1.DataSet:
			o.Generation = 3
		}
	}
	out, err := cluster{objects: objects}.run(t)
	clitest.WantExit(t, err, frame.ExitNegative)
	golden.Compare(t, "broken.txt", out)
}

func TestForbiddenObjectsDoNotStopTheOtherChecks(t *testing.T) {
	c := cluster{objects: sound(t), probe: forbid("*")("datasets", "")}
	c.refuse = func(kind, namespace string) error {
		if namespace == "shop" && (kind == "DataSet" || kind == "Data") {
			return nil
		}
		return forbid("*")(kind, namespace)
	}
	out, err := c.run(t, "-n", "shop")
	clitest.WantExit(t, err, frame.ExitDone)
	golden.Compare(t, "forbidden.txt", out)
}

func TestTheOwnNamespaceIsCheckedWhenAllAreForbidden(t *testing.T) {
	objects := replace(sound(t), dataSet("default", "own",
		condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonNoPods, "no running pod")))
	c := cluster{objects: objects, probe: errRefused}
	c.refuse = func(kind, namespace string) error {
		if namespace == "" && (kind == "DataSet" || kind == "Data") {
			return forbid(kind)(kind, namespace)
		}
		return nil
	}
	out, err := c.run(t)
	clitest.WantExit(t, err, frame.ExitDone)
	for _, want := range []string{"only the DataSets of default were looked at", "DataSet default/own"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestAProblemInTheJSONHasItsObjectAndAdvice(t *testing.T) {
	objects := replace(sound(t), deployment(managerName, "v0.1.0", 2, 0))
	out, err := cluster{objects: objects, probe: errRefused}.run(t, "-o", "json")
	clitest.WantExit(t, err, frame.ExitNegative)
	var report doctor.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if report.Summary.Problems != 1 || report.Summary.OK == 0 {
		t.Errorf("summary %+v", report.Summary)
	}
	for _, f := range report.Findings {
		if f.Severity == "problem" && (f.Object == nil || f.Object.Name != managerName || len(f.Do) == 0 || f.Why == "") {
			t.Errorf("%+v", f)
		}
	}
}

func TestAnUnreachableClusterIsAnError(t *testing.T) {
	c := cluster{objects: sound(t), refuse: func(string, string) error { return errors.New("dial tcp 127.0.0.1:1: connection refused") }}
	out, err := c.run(t)
	clitest.WantExit(t, err, frame.ExitError)
	if out != "" {
		t.Errorf("printed\n%s", out)
	}
}
