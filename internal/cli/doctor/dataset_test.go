// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
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

func TestTheReasonWhyAPodLacksTheRuntimeIsFound(t *testing.T) {
	s := &subject{dataSet: dataSet("shop", "models"), now: now}
	s.namespace.value = &corev1.Namespace{}
	s.config.value = &corev1.ConfigMap{Data: map[string]string{configKey: "dataPathPrefix: /srv"}}
	disabled := &subject{dataSet: s.dataSet, now: now}
	disabled.namespace.value = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}}}
	unreadable := &subject{dataSet: s.dataSet, now: now}
	unreadable.namespace.err, unreadable.config.err = errors.New("forbidden"), errors.New("forbidden")
	main := corev1.Container{Name: "main"}
	changed := func(change func(*corev1.Pod)) *corev1.Pod {
		return podOf("p", time.Minute, func(p *corev1.Pod) {
			stripped(p)
			p.Spec.Containers = []corev1.Container{main}
			change(p)
		})
	}
	mounts := func(at string) *corev1.Pod {
		return changed(func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: at}}
		})
	}
	for name, c := range map[string]struct {
		s       *subject
		pod     *corev1.Pod
		want    string
		restart bool
	}{
		"older":           {s, podOf("p", 2*time.Hour, stripped), "before the DataSet", true},
		"younger":         {s, podOf("p", time.Minute, stripped), "could not be reached", true},
		"opted out":       {disabled, podOf("p", time.Minute, stripped), "opted out", false},
		"no right":        {unreadable, podOf("p", time.Minute, stripped), "could not be reached", true},
		"another webhook": {s, podOf("p", time.Minute, func(p *corev1.Pod) { p.Spec.InitContainers = nil }), "removed it", false},
		"a copy":          {s, podOf("p", time.Minute, func(p *corev1.Pod) { p.Annotations = nil }), "--copy-to", false},
		"host network":    {s, changed(func(p *corev1.Pod) { p.Spec.HostNetwork = true }), "hostNetwork", false},
		"name clash": {s, changed(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName}}
		}), "choose another name", false},
		"mount":                       {s, mounts("/srv/x"), "mount it elsewhere", false},
		"mount, configuration unread": {unreadable, mounts("/kuda/data"), "mount it elsewhere", false},
		"mount elsewhere":             {s, mounts("/kuda/data"), "could not be reached", true},
	} {
		got := c.s.whyUninjected(c.pod)
		if !strings.Contains(got.Why, c.want) || got.Restart != c.restart || got.Do == "" {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestAnUnknownReasonIsAWarning(t *testing.T) {
	d := dataSet("shop", "models", condition(v1alpha1.ConditionReady, "False", "FromTheFuture", "who knows"))
	f := judgeDataSet(d, "")
	if len(f) != 1 || f[0].Severity != "warning" || !strings.Contains(f[0].What, "FromTheFuture: who knows") {
		t.Errorf("%+v", f)
	}
	g := judgePods([]v1alpha1.Data{*failing("p", "FromTheFuture", "who knows")}, now)
	if len(g) != 1 || g[0].Severity != "warning" {
		t.Errorf("%+v", g)
	}
}
