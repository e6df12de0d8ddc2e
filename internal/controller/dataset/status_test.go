// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// What a runtime reported last stays in its Data while it cannot live.
func TestADataSetIsNotReadyWhileARuntimeCannotLive(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop"}}
	r := &replica{pod: p, delivered: true}
	s := v1alpha1.DataSetStatus{Replicas: 1, Success: 1, Ready: "1/1"}
	now := start.Add(time.Hour)
	x := &session{set: models(), observed: &observation{live: []*replica{r}}, now: now}
	if c := podsCondition(x, s); c.Status != metav1.ConditionTrue {
		t.Fatalf("before: %+v", c)
	}
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: sidecar.ContainerName, RestartCount: 4,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	c := podsCondition(x, s)
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonDeliveryFailed ||
		!strings.Contains(c.Message, "kubectl logs web-1 -n shop") {
		t.Errorf("got %+v", c)
	}
	if wake := x.wakeAfter(); wake != 0 {
		t.Errorf("waits %s for a runtime that does not run", wake)
	}
	// It is up, and Ready at once; whether it lives is seen in time.
	p.Status.InitContainerStatuses[0] = corev1.ContainerStatus{Name: sidecar.ContainerName, RestartCount: 4, Ready: true,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{
			StartedAt: metav1.NewTime(now.Add(-10 * time.Second))}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2}}}
	if again := podsCondition(x, s); again != c {
		t.Errorf("a start changes it to %+v", again)
	}
	if wake := x.wakeAfter(); wake != 50*time.Second {
		t.Errorf("looks again after %s", wake)
	}
	x.now = now.Add(50 * time.Second)
	if c := podsCondition(x, s); c.Status != metav1.ConditionTrue || x.wakeAfter() != 0 {
		t.Errorf("a runtime that lives: %+v, again after %s", c, x.wakeAfter())
	}
}

// A pod whose runtime is no longer heard counts as one that has its data, and is named.
func TestAPodThatIsNoLongerHeardIsNamed(t *testing.T) {
	silent := func(name string) *replica {
		d := &v1alpha1.Data{}
		d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown,
			Reason: v1alpha1.ReasonRuntimeNotConnected, Message: "the gateway has not heard the pod's runtime"}}
		return &replica{pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}, data: d, delivered: true}
	}
	x := &session{set: models(), observed: &observation{live: []*replica{silent("web-1"), silent("web-2")}}, now: start}
	c := podsCondition(x, v1alpha1.DataSetStatus{Replicas: 2, Success: 2, Ready: "2/2"})
	if c.Status != metav1.ConditionTrue || !strings.Contains(c.Message,
		"2/2 pods have their data; of 2 it is not known whether they still have it, pod web-1: the gateway has not heard") {
		t.Errorf("%+v", c)
	}
}

// Pods that can never be injected are not told to restart.
func TestAPodWithoutTheRuntimeIsToldItsOwnReason(t *testing.T) {
	whole := func(name string, change func(*corev1.Pod)) *corev1.Pod {
		p := web(name, false)
		p.CreationTimestamp = metav1.NewTime(start)
		p.Spec.Containers = []corev1.Container{{Name: "main"}}
		change(p)
		stripped, err := inject.Stripper(nil)(p)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := inject.Stripper(nil)(stripped)
		if err != nil {
			t.Fatal(err)
		}
		return twice.(*corev1.Pod)
	}
	d := models()
	d.CreationTimestamp = metav1.NewTime(start.Add(-time.Hour))
	host := whole("hn", func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	clash := whole("clash", func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName}} })
	mount := whole("mount", func(p *corev1.Pod) {
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/kuda/data"}}
	})
	missed := whole("missed", func(*corev1.Pod) {})
	tight := whole("tight", func(p *corev1.Pod) {
		p.Annotations = map[string]string{v1alpha1.AnnotationNotInjected: "LimitRange small allows a container 32Mi"}
	})
	early := whole("early", func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(d.CreationTimestamp.Add(-time.Second)) })
	same := whole("same", func(p *corev1.Pod) { p.CreationTimestamp = d.CreationTimestamp })
	for name, c := range map[string]struct {
		pods    []*corev1.Pod
		labels  map[string]string
		want    []string
		without string
	}{
		"hostNetwork": {[]*corev1.Pod{host}, nil, []string{"hn: cannot be injected", "hostNetwork"}, "rollout restart"},
		"name clash":  {[]*corev1.Pod{clash}, nil, []string{"choose another name"}, "rollout restart"},
		"own mount":   {[]*corev1.Pod{mount}, nil, []string{"mounts volume v at /kuda/data"}, "rollout restart"},
		"opted out": {[]*corev1.Pod{missed}, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled},
			[]string{"kubectl label namespace shop kuda.io/injection-"}, "rollout restart"},
		"missed": {[]*corev1.Pod{missed}, nil, []string{"could not be reached", "rollout restart"}, "before the DataSet"},
		"tight": {[]*corev1.Pod{tight}, nil, []string{"tight: was not injected when it was created: LimitRange small allows"},
			"could not be reached"},
		"early": {[]*corev1.Pod{early}, nil, []string{"before the DataSet", "rollout restart"}, "could not be reached"},
		"same":  {[]*corev1.Pod{same}, nil, []string{"in the same second", "rollout restart"}, "could not be reached"},
		"grouped": {[]*corev1.Pod{early, host, missed, clash}, nil,
			[]string{"early: was", "hn: cannot", "missed: was", "1 more for other reasons"}, "another name"},
	} {
		got := injectedCondition(d, &observation{uninjected: c.pods, namespaceLabels: c.labels})
		for _, want := range c.want {
			if !strings.Contains(got.Message, want) {
				t.Errorf("%s: no %q in %s", name, want, got.Message)
			}
		}
		if strings.Contains(got.Message, c.without) || got.Status != metav1.ConditionFalse {
			t.Errorf("%s: %s", name, got.Message)
		}
	}
}

// A pod that cannot be scheduled is told of by what the scheduler says, such as a
// claim that was mistyped.
func TestAPodThatHasNotStartedSaysWhatItLacks(t *testing.T) {
	const says = `persistentvolumeclaim "dsk" not found`
	pending := func(message string) *replica {
		p := web("a", true)
		p.Spec.NodeName = ""
		p.Spec.Containers = []corev1.Container{{Name: "main"}}
		p.Status.Phase = corev1.PodPending
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: "Unschedulable", Message: message}}
		stripped, err := inject.Stripper(nil)(p)
		if err != nil {
			t.Fatal(err)
		}
		return &replica{pod: stripped.(*corev1.Pod)}
	}
	of := func(claim string) *v1alpha1.DataSet {
		d := models()
		d.Spec.Template.DataSources.PVC = &v1alpha1.PVCDataSource{ClaimName: claim}
		return d
	}
	for name, c := range map[string]struct {
		set  *v1alpha1.DataSet
		pods []*replica
		want string
	}{
		"the DataSet's claim": {of("dsk"), []*replica{pending(says)},
			`PersistentVolumeClaim dsk, which spec.template.dataSources.pvc names, is not there`},
		"the pod's own claim": {of("disk"), []*replica{pending(says)}, says},
		"no room":             {models(), []*replica{pending("0/3 nodes are available")}, "0/3 nodes are available"},
		"not looked at yet":   {models(), []*replica{pending("")}, "it has no node yet"},
		"none":                {models(), nil, ""},
	} {
		got := describeNotStarted(c.set, c.pods)
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
