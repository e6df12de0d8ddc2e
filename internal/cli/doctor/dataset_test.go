// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func podOf(name string, age time.Duration, change func(*corev1.Pod)) *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, Labels: map[string]string{"app": "models"}, CreationTimestamp: metav1.NewTime(now.Add(-age)),
			Annotations: map[string]string{v1alpha1.AnnotationInjected: "models"},
		},
		Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func stripped(p *corev1.Pod) { p.Spec.InitContainers, p.Annotations = nil, nil }

func stopped() *v1alpha1.DataSet {
	d := dataSet("shop", "models",
		condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonDeliveryFailed,
			"3/4 pods have their data; pod web-2, item default/weights: HookFailed: exit 1"),
		condition(v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonPodsFailed, "1 of 4 moved pods failed"),
		condition(v1alpha1.ConditionInjected, "True", v1alpha1.ReasonAllInjected, "every matching pod carries the runtime"))
	d.Spec.UpdateStrategy.Steps = make([]v1alpha1.RolloutStep, 3)
	d.Spec.Template.DataSources = v1alpha1.DataSources{
		MinIO: &v1alpha1.S3DataSource{SecretRef: &v1alpha1.SecretReference{Name: "keys"}, CARef: &v1alpha1.CAReference{Name: "roots"}},
		HTTP:  &v1alpha1.HTTPDataSource{SecretRef: &v1alpha1.SecretReference{Name: "keys"}},
		PVC:   &v1alpha1.PVCDataSource{ClaimName: "disk"},
	}
	d.Status.Rollout = &v1alpha1.RolloutStatus{
		Revision: "models-2", Phase: v1alpha1.RolloutStopped, Step: 1, Reason: v1alpha1.ReasonPodsFailed,
		Message: "1 of 4 moved pods failed", FailedPods: []string{"web-2", "web-3"},
	}
	return d
}

func failing(podName, reason, message string) *v1alpha1.Data {
	d := data("models", podName, condition(v1alpha1.ConditionReady, "False", reason, message))
	d.Status.DataItemsStatus = []v1alpha1.DataItemStatus{{Namespace: "default", Name: "weights", Phase: v1alpha1.DataFailed,
		Reason: reason, Message: message}}
	return d
}

func TestAStoppedRolloutIsExplained(t *testing.T) {
	prefetching := data("models", "web-4", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "all"))
	prefetching.Spec.PrefetchRevision = "models-3"
	prefetching.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: "models-3", Phase: v1alpha1.DataFailed,
		Reason: v1alpha1.ReasonInsufficientSpace, Message: "needs 4 GiB"}
	objects := []client.Object{
		stopped(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "keys"}},
		failing("web-2", v1alpha1.ReasonHookFailed, "exit 1"), prefetching,
		data("models", "web-3", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "all")),
		podOf("web-2", time.Minute, nil), podOf("web-3", time.Minute, nil), podOf("web-4", time.Minute, nil),
		podOf("old", 2*time.Hour, stripped),
	}
	out, err := cluster{objects: objects}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitNegative)
	golden.Compare(t, "stopped.txt", out)
}

func TestAHealthyDataSetHasNoProblemsOrWarnings(t *testing.T) {
	d := dataSet("shop", "models", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "1/1 pods have their data"))
	d.Status.Rollout = &v1alpha1.RolloutStatus{Revision: "models-2", Phase: v1alpha1.RolloutCompleted}
	out, err := cluster{objects: []client.Object{
		d, podOf("web-1", time.Minute, nil), data("models", "web-1", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "all")),
	}}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitDone)
	if !strings.Contains(out, "0 problems, 0 warnings") {
		t.Error(out)
	}
}

func TestARuntimeThatCannotLiveIsAProblemWhateverItSaidLast(t *testing.T) {
	d := dataSet("shop", "models", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "1/1 pods have their data"))
	dying := podOf("web-1", time.Minute, func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: sidecar.ContainerName, RestartCount: 4,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	})
	out, err := cluster{objects: []client.Object{
		d, dying, data("models", "web-1", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "all")),
	}}.run(t, "models", "-n", "shop")
	if err == nil || !strings.Contains(out, "1 problem") || !strings.Contains(out, "--previous") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAMissingDataSetIsAnError(t *testing.T) {
	_, err := cluster{}.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitError)
}

func TestADataSetIsShownWithoutTheRightToReadTheRest(t *testing.T) {
	c := cluster{objects: []client.Object{stopped()}, refuse: forbid("Pod", "Secret", "ConfigMap", "Namespace", "PersistentVolumeClaim")}
	out, err := c.run(t, "models", "-n", "shop")
	clitest.WantExit(t, err, frame.ExitNegative)
	if !strings.Contains(out, "is Stopped, at step 2 of 3") || strings.Count(out, "you may not read this") != 4 {
		t.Error(out)
	}
}
