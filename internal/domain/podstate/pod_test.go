// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/authority"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/sidecar"
)

var (
	readySince     = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	runtimeStarted = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 4, 0, time.UTC))
)

func whole() *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web-0", Namespace: "shop", UID: "u", ResourceVersion: "7",
			Labels:        map[string]string{"app": "web"},
			Annotations:   map[string]string{v1alpha1.AnnotationInjected: "models", "big": "blob"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
		},
		Spec: corev1.PodSpec{
			NodeName: "n1",
			InitContainers: []corev1.Container{
				{Name: "migrate"}, {Name: sidecar.ContainerName, Image: "x", RestartPolicy: &always},
				{Name: "proxy", RestartPolicy: &always}, {Name: "quiet", RestartPolicy: &always},
			},
			Containers: []corev1.Container{{Name: "app", Image: "y"}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning,
			PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: readySince}},
			InitContainerStatuses: []corev1.ContainerStatus{
				{Name: "migrate", RestartCount: 16},
				{Name: sidecar.ContainerName, RestartCount: 8, Ready: true, ImageID: "x",
					State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}}},
				{Name: "proxy", RestartCount: 4}, {Name: "quiet"},
			},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app", RestartCount: 2, ImageID: "y"}, {Name: "log", RestartCount: 1},
				{Name: "steady", ImageID: "z"}},
		},
	}
}

func TestStrippingKeepsWhatDecides(t *testing.T) {
	p := whole()
	first, err := Strip(p)
	if err != nil {
		t.Fatal(err)
	}
	stripped := first.(*corev1.Pod)
	if Changed(p, stripped) || HealthChanged(p, stripped) || !Injected(stripped) || !Live(stripped) {
		t.Errorf("stripping changed an answer: %+v", stripped)
	}
	if len(stripped.Spec.Containers) != 0 || len(stripped.Spec.InitContainers) != 2 || len(stripped.Status.ContainerStatuses) != 2 ||
		stripped.ManagedFields != nil || stripped.Annotations["big"] != "" {
		t.Errorf("stripping kept unused fields: %+v", stripped)
	}
	second, err := Strip(stripped)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("stripping twice differs from once (-once +twice):\n%s", diff)
	}
	if other, err := Strip("tombstone"); err != nil || other != "tombstone" {
		t.Errorf("Strip(not a pod) = %v, %v", other, err)
	}
}

func TestInjectedNeedsTheAnnotationAndTheSidecar(t *testing.T) {
	for name, spoil := range map[string]func(*corev1.Pod){
		"annotation missing":     func(p *corev1.Pod) { p.Annotations = nil },
		"container missing":      func(p *corev1.Pod) { p.Spec.InitContainers = p.Spec.InitContainers[:1] },
		"container not a native": func(p *corev1.Pod) { p.Spec.InitContainers[1].RestartPolicy = nil },
	} {
		p := whole()
		spoil(p)
		if Injected(p) {
			t.Errorf("%s: pod counts as injected", name)
		}
	}
}

func TestASelectorSelectsPodsWithAllItsLabels(t *testing.T) {
	for name, c := range map[string]struct {
		selector map[string]string
		labels   map[string]string
		want     bool
	}{
		"all labels":             {map[string]string{"app": "web", "tier": "1"}, map[string]string{"app": "web", "tier": "1", "x": "y"}, true},
		"one label missing":      {map[string]string{"app": "web", "tier": "1"}, map[string]string{"app": "web"}, false},
		"another value":          {map[string]string{"app": "web"}, map[string]string{"app": "db"}, false},
		"empty value and no key": {map[string]string{"app": ""}, map[string]string{}, false},
		"empty selector":         {nil, map[string]string{"app": "web"}, false},
		"pod opted out by itself": {map[string]string{"app": "web"},
			map[string]string{"app": "web", v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}, false},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: c.labels}}
		if got := Selects(c.selector, p); got != c.want {
			t.Errorf("%s: Selects = %v, want %v", name, got, c.want)
		}
	}
}

func TestReadinessFlapsCauseNoReconciles(t *testing.T) {
	before, after := whole(), whole()
	after.Status.Conditions[1].Status = corev1.ConditionFalse
	after.ResourceVersion = "8"
	if Changed(before, after) {
		t.Error("a readiness flap counts as a change")
	}
	for name, change := range map[string]func(*corev1.Pod){
		"labels":      func(p *corev1.Pod) { p.Labels = map[string]string{"app": "db"} },
		"node":        func(p *corev1.Pod) { p.Spec.NodeName = "n2" },
		"finished":    func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded },
		"terminating": func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} },
	} {
		after := whole()
		change(after)
		if !Changed(before, after) {
			t.Errorf("%s: change not noticed", name)
		}
	}
}

// A status that says that a runtime ends again and again is written anew when it lives
// again, and the other way round, also where no rollout looks at the pod.
func TestTheBeginAndTheEndOfACrashLoopCauseReconciles(t *testing.T) {
	runtime := func(s corev1.ContainerStatus) *corev1.Pod {
		p := whole()
		s.Name, s.RestartCount = sidecar.ContainerName, 4
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{s}
		return p
	}
	loops := runtime(corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}})
	starts := runtime(corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}}})
	ready := runtime(corev1.ContainerStatus{Ready: true,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}}})
	ends := runtime(corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2}}})
	// When it has started, it has to be looked at again later.
	if !Changed(loops, starts) || !Changed(ready, ends) {
		t.Error("the begin of a crash loop, or what may be its end, is not noticed")
	}
	if Changed(starts, ready) || Changed(ends, loops) {
		t.Error("each step of a runtime that ends again counts as a change")
	}
}

func TestTheRuntimesRestartsAreCountedSeparately(t *testing.T) {
	want := v1alpha1.PodHealth{Ready: true, ReadyTransitionTime: &readySince, Restarts: 2 + 1 + 4, RuntimeRestarts: 8}
	if diff := cmp.Diff(want, Health(whole())); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	if got := Health(&corev1.Pod{}); got != (v1alpha1.PodHealth{}) {
		t.Errorf("a pod without a status: %+v", got)
	}
}

func TestTheRuntimesStateFollowsItsContainerStatus(t *testing.T) {
	for name, c := range map[string]struct {
		status *corev1.ContainerStatus
		want   RuntimeState
	}{
		"started again": {&corev1.ContainerStatus{RestartCount: 1, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}}},
			RuntimeState{Started: runtimeStarted.Time}},
		"probe not answered": {&corev1.ContainerStatus{RestartCount: 1,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}}},
			RuntimeState{Down: true, Started: runtimeStarted.Time}},
		"stopped": {&corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}},
			RuntimeState{Down: true}},
		"never stopped": {&corev1.ContainerStatus{Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}}}, RuntimeState{}},
		"nothing is known": {nil, RuntimeState{}},
	} {
		p := whole()
		p.Status.InitContainerStatuses = nil
		if c.status != nil {
			c.status.Name = sidecar.ContainerName
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{*c.status}
		}
		stripped, err := Strip(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := Runtime(p); got != c.want || Runtime(stripped.(*corev1.Pod)) != c.want {
			t.Errorf("%s: %+v, stripped %+v; want %+v", name, got, Runtime(stripped.(*corev1.Pod)), c.want)
		}
	}
}

func TestARuntimeThatCannotLiveIsSeen(t *testing.T) {
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: "panic"}}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 40s"}}
	for name, c := range map[string]struct {
		status corev1.ContainerStatus
		want   bool
	}{
		"held back by the kubelet": {corev1.ContainerStatus{RestartCount: 3, State: waiting, LastTerminationState: ended(2)}, true},
		"just ended":               {corev1.ContainerStatus{RestartCount: 5, State: ended(2)}, true},
		"just started again":       {corev1.ContainerStatus{RestartCount: 5, State: running, LastTerminationState: ended(137)}, true},
		"ready again":              {corev1.ContainerStatus{RestartCount: 5, Ready: true, State: running, LastTerminationState: ended(2)}, true},
		"a few times only":         {corev1.ContainerStatus{RestartCount: 2, State: waiting, LastTerminationState: ended(2)}, false},
		"ended in order":           {corev1.ContainerStatus{RestartCount: 5, State: running, LastTerminationState: ended(0)}, false},
		"its first start":          {corev1.ContainerStatus{State: running}, false},
	} {
		p := whole()
		c.status.Name = sidecar.ContainerName
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{c.status}
		stripped, err := Strip(p)
		if err != nil {
			t.Fatal(err)
		}
		now := runtimeStarted.Add(59 * time.Second)
		if got := Dies(p, now); got != c.want || Dies(stripped.(*corev1.Pod), now) != c.want {
			t.Errorf("%s: %v, stripped %v", name, got, Dies(stripped.(*corev1.Pod), now))
		}
	}
}

// The status of a DataSet goes by Dies: it must not change with each start.
func TestARuntimeThatDiedLivesAgainOnlyAfterAWhile(t *testing.T) {
	for life, want := range map[time.Duration]time.Duration{
		0: time.Minute, 2 * time.Second: time.Minute, 45 * time.Second: 90 * time.Second, time.Hour: 10 * time.Minute,
	} {
		p := whole()
		ended := corev1.ContainerStateTerminated{ExitCode: 2, FinishedAt: metav1.NewTime(runtimeStarted.Add(-time.Minute))}
		if life > 0 {
			ended.StartedAt = metav1.NewTime(ended.FinishedAt.Add(-life))
		}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: sidecar.ContainerName, RestartCount: 7, Ready: true,
			State:                corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: runtimeStarted}},
			LastTerminationState: corev1.ContainerState{Terminated: &ended}}}
		stripped, err := Strip(p)
		if err != nil {
			t.Fatal(err)
		}
		p = stripped.(*corev1.Pod)
		if got := Settles(p).Sub(runtimeStarted.Time); got != want {
			t.Errorf("it lived for %s: counts as living after %s, want %s", life, got, want)
		}
		if !Dies(p, runtimeStarted.Add(want-time.Second)) || Dies(p, runtimeStarted.Add(want)) {
			t.Errorf("it lived for %s: dies %t just before, %t then", life, Dies(p, runtimeStarted.Add(want-time.Second)),
				Dies(p, runtimeStarted.Add(want)))
		}
	}
}

// A day of a runtime that dies after 5 to 25 s, as the kubelet starts it: the answer
// changes once.
func TestACrashLoopIsOneState(t *testing.T) {
	p, now, changes, last := whole(), readySince.Time, 0, false
	look := func(s corev1.ContainerStatus) {
		s.Name = sidecar.ContainerName
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{s}
		if dies := Dies(p, now); dies != last {
			changes, last = changes+1, dies
		}
	}
	var previous corev1.ContainerState
	for n := range int32(300) {
		started := metav1.NewTime(now)
		running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}
		life := time.Duration(5+n*7%20) * time.Second
		look(corev1.ContainerStatus{RestartCount: n, State: running, LastTerminationState: previous})
		look(corev1.ContainerStatus{RestartCount: n, State: running, Ready: true, LastTerminationState: previous})
		now = now.Add(life)
		look(corev1.ContainerStatus{RestartCount: n, State: running, Ready: true, LastTerminationState: previous})
		ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, StartedAt: started,
			FinishedAt: metav1.NewTime(now)}}
		look(corev1.ContainerStatus{RestartCount: n, State: ended, LastTerminationState: previous})
		waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		look(corev1.ContainerStatus{RestartCount: n, State: waiting, LastTerminationState: ended})
		previous, now = ended, now.Add(5*time.Minute)
	}
	if changes != 1 || !last {
		t.Errorf("it changed %d times; in the end it dies: %t", changes, last)
	}
}

func TestEachChangeOfHealthIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"unready": {func(p *corev1.Pod) { p.Status.Conditions[1].Status = corev1.ConditionFalse }, true},
		"unready and ready in between": {func(p *corev1.Pod) {
			p.Status.Conditions[1].LastTransitionTime = metav1.NewTime(readySince.Add(time.Second))
		}, true},
		"a container restarted":         {func(p *corev1.Pod) { p.Status.ContainerStatuses[2].RestartCount++ }, true},
		"a native sidecar restarted":    {func(p *corev1.Pod) { p.Status.InitContainerStatuses[3].RestartCount++ }, true},
		"the runtime restarted":         {func(p *corev1.Pod) { p.Status.InitContainerStatuses[1].RestartCount++ }, true},
		"the runtime stopped":           {func(p *corev1.Pod) { p.Status.InitContainerStatuses[1].Ready = false }, true},
		"an init container was retried": {func(p *corev1.Pod) { p.Status.InitContainerStatuses[0].RestartCount++ }, false},
		"an address":                    {func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.2" }, false},
		"a pod without the runtime": {func(p *corev1.Pod) {
			p.Annotations = nil
			p.Status.Conditions[1].Status = corev1.ConditionFalse
		}, false},
	} {
		after := whole()
		c.change(after)
		if got := HealthChanged(whole(), after); got != c.want {
			t.Errorf("%s: HealthChanged = %v, want %v", name, got, c.want)
		}
	}
}

func TestAPreheatPodIsNotSelectedAndKeepsItsFailure(t *testing.T) {
	p := whole()
	if Selects(map[string]string{"app": "web"}, p) != true {
		t.Fatal("a pod is not selected by its label")
	}
	p.Labels[v1alpha1.LabelPreheat] = "models"
	if Selects(map[string]string{"app": "web"}, p) {
		t.Error("a pod that preheats a node counts as a replica")
	}
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", UID: "d"}}
	if Preheats(d, p) {
		t.Error("the label alone is believed")
	}
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "DataSet", Name: "models", UID: "d", Controller: &yes}}
	p.Status.Conditions[0] = corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable",
		Message: "0/3 nodes"}
	for range 2 {
		stripped, err := Strip(p)
		if err != nil {
			t.Fatal(err)
		}
		p = stripped.(*corev1.Pod)
		if reason, message := Problem(p); !Preheats(d, p) || reason != "Unschedulable" || message != "0/3 nodes" {
			t.Errorf("stripped: preheats %v, %s: %s", Preheats(d, p), reason, message)
		}
	}
	p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "no disk"
	stripped, _ := Strip(p)
	if reason, message := Problem(stripped.(*corev1.Pod)); reason != "Evicted" || message != "no disk" {
		t.Errorf("%s: %s", reason, message)
	}
}

// What the scheduler says of a pod without a node reaches the readers of its Data.
func TestTheSchedulingFailureOfAPodWithoutANodeIsKept(t *testing.T) {
	waiting := func(message string) *corev1.Pod {
		p := whole()
		p.Spec.NodeName, p.Status.Phase, p.Status.InitContainerStatuses = "", corev1.PodPending, nil
		p.Status.Conditions[0] = corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: "Unschedulable", Message: message}
		for range 2 {
			stripped, err := Strip(p)
			if err != nil {
				t.Fatal(err)
			}
			p = stripped.(*corev1.Pod)
		}
		return p
	}
	before, after := waiting("0/3 nodes"), waiting(`persistentvolumeclaim "dsk" not found`)
	if _, says := Problem(after); says != `persistentvolumeclaim "dsk" not found` {
		t.Errorf("kept %q", says)
	}
	if !Changed(before, after) || Changed(before, waiting("0/3 nodes")) {
		t.Error("a change of what the scheduler says is not noticed, or none is")
	}
	placed := whole()
	placed.Status.Conditions[0] = before.Status.Conditions[0]
	stripped, err := Strip(placed)
	if err != nil {
		t.Fatal(err)
	}
	if _, says := Problem(stripped.(*corev1.Pod)); says != "" {
		t.Errorf("a pod with a node keeps %q", says)
	}
}

// What a pod was given to trust is in its spec, which the cache does not keep.
func TestStrippingKeepsWhatThePodWasGivenToTrust(t *testing.T) {
	generation, err := pki.NewGeneration(pki.DefaultPolicy(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always,
		Env: []corev1.EnvVar{{Name: "OTHER"}, {Name: sidecar.EnvGatewayCA, Value: string(generation.CertificatePEM())}}}}}}
	p.Annotations = map[string]string{authorityKey: "forged"}
	want := authority.Describe(generation.CertificatePEM())
	if got := Authority(p); got != want || want == "" {
		t.Errorf("of the pod: %q, want %q", got, want)
	}
	object := any(p)
	for range 2 {
		if object, err = Strip(object); err != nil {
			t.Fatal(err)
		}
		stripped := object.(*corev1.Pod)
		if got := Authority(stripped); got != want || len(stripped.Spec.InitContainers[0].Env) > 0 {
			t.Errorf("of the stripped pod: %q, want %q; %+v", got, want, stripped.Spec.InitContainers)
		}
	}
	p.Spec.InitContainers[0].Env = p.Spec.InitContainers[0].Env[:1]
	if got := Authority(p); got != "" {
		t.Errorf("without certificates: %q", got)
	}
}
