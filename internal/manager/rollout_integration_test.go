// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

// fleet is a DataSet with pods whose runtimes have its first revision.
type fleet struct {
	t    *testing.T
	set  *v1alpha1.DataSet
	pods map[string]*corev1.Pod
	// first is the stable revision.
	first string
}

func newFleet(t *testing.T, m *managertest.Manager, pods int, maxUnavailable string, change ...func(*v1alpha1.DataSet)) *fleet {
	t.Helper()
	ns := cluster.Namespace(t)
	share := intstr.Parse(maxUnavailable)
	change = append([]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) {
		d.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{
			Type: v1alpha1.RollingUpdateStrategyType, RollingUpdate: &v1alpha1.RollingUpdate{MaxUnavailable: &share},
		}
	}}, change...)
	f := &fleet{t: t, set: cluster.DataSet(t, ns, "one", "web", change...), pods: map[string]*corev1.Pod{}}
	for i := range pods {
		name := fmt.Sprintf("p-%02d", i)
		f.pods[name] = cluster.Pod(t, ns, name, "web", func(p *corev1.Pod) { p.Spec.NodeName = "n-" + name })
		m.StartRuntime(t, cluster, f.pods[name], "one")
	}
	s := status(t, f.set, "the first revision is everywhere", func(s v1alpha1.DataSetStatus) bool {
		return s.Ready == fmt.Sprintf("%d/%d", pods, pods) && phase(s) == v1alpha1.RolloutCompleted
	})
	f.first = s.CurrentRevision
	return f
}

func (f *fleet) wait(what string, wanted func(v1alpha1.DataSetStatus) bool) v1alpha1.DataSetStatus {
	f.t.Helper()
	return status(f.t, f.set, what, wanted)
}

func (f *fleet) edit(change func(*v1alpha1.DataSet)) {
	f.t.Helper()
	managertest.Edit(f.t, cluster, f.set, change)
}

func (f *fleet) request(verb string) {
	f.t.Helper()
	f.edit(func(d *v1alpha1.DataSet) {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationRolloutRequest,
			verb+" "+d.Status.UpdateRevision+" "+time.Now().Format(time.RFC3339Nano))
	})
}

// on returns the Data of the pods that are to have a revision, by the pod's name.
func (f *fleet) on(revision string) map[string]*v1alpha1.Data {
	f.t.Helper()
	datas, err := cluster.Datas(f.t.Context(), f.set.Namespace)
	if err != nil {
		f.t.Fatal(err)
	}
	on := map[string]*v1alpha1.Data{}
	for i := range datas {
		if datas[i].Spec.Revision == revision {
			on[datas[i].Spec.PodName] = &datas[i]
		}
	}
	return on
}

// events waits until the DataSet has an event of each reason.
func (f *fleet) events(reasons ...string) {
	f.t.Helper()
	managertest.Eventually(f.t, fmt.Sprintf("there are events %v", reasons), func(ctx context.Context) (bool, error) {
		var have []string
		list, err := cluster.Events(ctx, f.set)
		for i := range list {
			have = append(have, list[i].Reason)
		}
		return !slices.ContainsFunc(reasons, func(r string) bool { return !slices.Contains(have, r) }), err
	})
}

func phase(s v1alpha1.DataSetStatus) v1alpha1.RolloutPhase {
	if s.Rollout == nil {
		return ""
	}
	return s.Rollout.Phase
}

func inPhase(want v1alpha1.RolloutPhase) func(v1alpha1.DataSetStatus) bool {
	return func(s v1alpha1.DataSetStatus) bool { return phase(s) == want }
}

func outcomes(s v1alpha1.DataSetStatus) string {
	var all []string
	for _, r := range s.History {
		all = append(all, string(r.Outcome))
	}
	return strings.Join(all, " ")
}

func TestAFailedRevisionStaysInPods(t *testing.T) {
	m := cluster.StartManager(t)
	f := newFleet(t, m, 24, "100%", func(d *v1alpha1.DataSet) {
		all := intstr.FromString("100%")
		d.Spec.FailurePolicy, d.Spec.FailureThreshold = v1alpha1.FailurePolicyRollback, &all
		d.Annotations = map[string]string{v1alpha1.AnnotationChangeCause: "first"}
	})
	began := time.Now()
	f.edit(func(d *v1alpha1.DataSet) {
		d.Spec.Template.DataItems[0].Version = managertest.BrokenVersion
		d.Annotations[v1alpha1.AnnotationChangeCause] = "try the new model"
	})
	s := f.wait("the pods are back", inPhase(v1alpha1.RolloutRolledBack))
	t.Logf("24 pods moved, failed and back %s after the edit", time.Since(began))
	if n := len(f.on(f.first)); n != 24 || s.CurrentRevision != f.first || s.UpdateRevision == f.first || s.Success != 24 {
		t.Errorf("%d pods have the stable revision: %+v", n, s)
	}
	if got := reason(s, v1alpha1.ConditionRolledBack); got != v1alpha1.ReasonPodsFailed {
		t.Errorf("RolledBack: %s", got)
	}
	last := s.History[len(s.History)-1]
	if outcomes(s) != "Succeeded RolledBack" || last.ChangeCause != "try the new model" || last.Number != 2 || last.By == "" || last.By == "kuda-manager" || last.Message == "" {
		t.Errorf("history: %+v", s.History)
	}
	f.events(v1alpha1.EventRolloutStarted, v1alpha1.EventPodFailed, v1alpha1.EventRollingBack, v1alpha1.EventRolledBack)
	if got := value(t, m, "kuda_rollouts_total", "outcome", "RolledBack"); got != 1 {
		t.Errorf("kuda_rollouts_total{outcome=RolledBack} = %v", got)
	}
	if got := value(t, m, "kuda_rollout_pods", "role", "stable"); got < 24 {
		t.Errorf("kuda_rollout_pods{role=stable} = %v", got)
	}

	f.edit(version("v2"))
	s = f.wait("the next revision is everywhere", func(s v1alpha1.DataSetStatus) bool {
		return phase(s) == v1alpha1.RolloutCompleted && s.UpdatedReplicas == 24
	})
	if outcomes(s) != "Succeeded RolledBack Succeeded" || reason(s, v1alpha1.ConditionRolledBack) != v1alpha1.ReasonNotRolledBack {
		t.Errorf("status: %+v", s)
	}
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "kuda_rollout_switch_seconds" && family.GetMetric()[0].GetHistogram().GetSampleCount() < 24 {
			t.Errorf("not every switch was measured: %v", family)
		}
	}
}

// value returns a metric of a manager.
func value(t *testing.T, m *managertest.Manager, name, label, want string) float64 {
	t.Helper()
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, l := range metric.GetLabel() {
				if family.GetName() == name && l.GetName() == label && l.GetValue() == want {
					return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
				}
			}
		}
	}
	t.Fatalf("there is no metric %s{%s=%q}", name, label, want)
	return 0
}

func TestAPodThatTurnsUnreadyIsNotSeen(t *testing.T) {
	m := cluster.StartManager(t)
	f := newFleet(t, m, 4, "1", func(d *v1alpha1.DataSet) {
		d.Spec.FailurePolicy = v1alpha1.FailurePolicyRollback
		d.Spec.UpdateStrategy.RollingUpdate.MinReadySeconds = 600
	})
	f.edit(version("v2"))
	s := f.wait("one pod is moved", func(s v1alpha1.DataSetStatus) bool { return s.UpdatedReplicas == 1 })
	moved := f.on(s.UpdateRevision)
	if len(moved) != 1 {
		t.Fatalf("%d pods are moved", len(moved))
	}
	for name := range moved {
		cluster.EditPodStatus(t, f.pods[name], managertest.Unready)
		f.wait("it is back", inPhase(v1alpha1.RolloutRolledBack))
		if _, back := f.on(f.first)[name]; !back {
			t.Errorf("pod %s is not back", name)
		}
	}
}

func TestPromise5AStoppedRolloutIsForgottenInACrash(t *testing.T) {
	m := cluster.StartManager(t)
	f := newFleet(t, m, 4, "1")
	f.edit(version(managertest.BrokenVersion))
	f.wait("it stops", inPhase(v1alpha1.RolloutStopped))
	m.Stop()
	before := resourceVersions(t, f.set.Namespace)
	m = cluster.StartManager(t)
	for _, p := range f.pods {
		m.StartRuntime(t, cluster, p, "one")
	}
	// When a later DataSet has been worked on, so was this one.
	newFleet(t, m, 1, "1")
	after := resourceVersions(t, f.set.Namespace)
	for object, v := range before {
		if strings.Contains(object, "DataSet ") && after[object] != v {
			t.Errorf("%s was written", object)
		}
	}
	if n := len(f.on(f.first)); n != 3 {
		t.Errorf("%d pods have the stable revision", n)
	}
	f.request(v1alpha1.RequestRetry)
	f.wait("it is tried and stops again", func(s v1alpha1.DataSetStatus) bool {
		return phase(s) == v1alpha1.RolloutStopped && s.Rollout.Request != ""
	})
	f.request(v1alpha1.RequestAbort)
	s := f.wait("it is taken back", inPhase(v1alpha1.RolloutRolledBack))
	if reason(s, v1alpha1.ConditionRolledBack) != v1alpha1.ReasonAborted || len(f.on(f.first)) != 4 {
		t.Errorf("status: %+v", s)
	}
}

func TestPromise5ACrashInTheMiddleOfStepsSkipsOne(t *testing.T) {
	var healthy atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"healthy": %v}`, healthy.Load())
	}))
	t.Cleanup(service.Close)
	healthy.Store(true)
	loopback := func(o *manager.Options) { o.Analysis.InsecureAllowLoopback = true }
	m := cluster.StartManager(t, loopback)
	three, one := intstr.FromInt32(3), intstr.FromString("25%")
	f := newFleet(t, m, 4, "100%", func(d *v1alpha1.DataSet) {
		d.Spec.UpdateStrategy.Steps = []v1alpha1.RolloutStep{
			{Partition: &three},
			{Pause: &v1alpha1.PauseStep{}},
			{Analysis: &v1alpha1.AnalysisStep{
				HTTP: &v1alpha1.HTTPCheck{URL: service.URL}, SuccessCondition: "result.healthy", Interval: &metav1.Duration{Duration: time.Second}, Count: 2,
			}},
			{Partition: &one},
			{Pause: &v1alpha1.PauseStep{}},
		}
	})
	f.edit(version("v2"))
	s := f.wait("it pauses", func(s v1alpha1.DataSetStatus) bool {
		return reason(s, v1alpha1.ConditionProgressing) == v1alpha1.ReasonStepPaused
	})
	if len(f.on(s.UpdateRevision)) != 1 {
		t.Errorf("%d pods are moved in the first step", len(f.on(s.UpdateRevision)))
	}
	m.Stop()
	m = cluster.StartManager(t, loopback)
	for _, p := range f.pods {
		m.StartRuntime(t, cluster, p, "one")
	}
	f.request(v1alpha1.RequestPromote)
	s = f.wait("it measured and pauses again", func(s v1alpha1.DataSetStatus) bool {
		return s.Rollout.Step == 4 && reason(s, v1alpha1.ConditionProgressing) == v1alpha1.ReasonStepPaused
	})
	if len(f.on(s.UpdateRevision)) != 3 {
		t.Errorf("%d pods are moved in the fourth step", len(f.on(s.UpdateRevision)))
	}
	f.request(v1alpha1.RequestPromote)
	f.wait("it completes", func(s v1alpha1.DataSetStatus) bool {
		return phase(s) == v1alpha1.RolloutCompleted && s.CurrentRevision == s.UpdateRevision && s.UpdatedReplicas == 4
	})
	f.events(v1alpha1.EventRolloutStep, v1alpha1.EventRolloutCompleted)
}

func TestPodsAreMovedWhileANodeLacksTheBytes(t *testing.T) {
	m := cluster.StartManager(t)
	f := newFleet(t, m, 3, "100%", func(d *v1alpha1.DataSet) { d.Spec.Prefetch = true })
	silent := cluster.Pod(t, f.set.Namespace, "silent", "web")
	// The rollout waits for no pod that has not started.
	cluster.EditPodStatus(t, silent, func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
	f.wait("the silent pod counts", func(s v1alpha1.DataSetStatus) bool { return s.Replicas == 4 && s.NotStartedReplicas == 0 })
	f.edit(version("v2"))
	s := f.wait("it prefetches", inPhase(v1alpha1.RolloutPrefetching))
	managertest.Eventually(t, "three have the bytes", func(ctx context.Context) (bool, error) {
		datas, err := cluster.Datas(ctx, f.set.Namespace)
		n := 0
		for i := range datas {
			if assignment.Prefetched(&datas[i], s.UpdateRevision) {
				n++
			}
		}
		return n == 3, err
	})
	if n := len(f.on(s.UpdateRevision)); n != 0 {
		t.Errorf("%d pods are moved", n)
	}
	m.StartRuntime(t, cluster, silent, "one")
	f.wait("all are moved", func(s v1alpha1.DataSetStatus) bool {
		return phase(s) == v1alpha1.RolloutCompleted && s.UpdatedReplicas == 4
	})
	for name, d := range f.on(s.UpdateRevision) {
		if d.Spec.PrefetchRevision != "" {
			t.Errorf("pod %s still prefetches", name)
		}
	}
}

func TestZonesAreTakenAtTheSameTime(t *testing.T) {
	const zone = "topology.kubernetes.io/zone"
	m := cluster.StartManager(t)
	for i := range 4 {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n-p-%02d", i), Labels: map[string]string{zone: []string{"east", "west"}[i%2]}}}
		if err := cluster.Client.Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cluster.Client.Delete(context.Background(), node) })
	}
	f := newFleet(t, m, 4, "100%", func(d *v1alpha1.DataSet) {
		d.Spec.UpdateStrategy.RollingUpdate.TopologyKey = zone
		d.Spec.UpdateStrategy.RollingUpdate.MinReadySeconds = 600
	})
	f.edit(version("v2"))
	s := f.wait("one zone is moved", func(s v1alpha1.DataSetStatus) bool { return s.UpdatedReplicas == 2 })
	if on := f.on(s.UpdateRevision); on["p-00"] == nil || on["p-02"] == nil || len(on) != 2 {
		t.Errorf("moved: %v", on)
	}
}
