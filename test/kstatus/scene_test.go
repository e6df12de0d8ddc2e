// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kstatus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

// scene is a DataSet in a namespace of its own.
type scene struct {
	t          *testing.T
	manager    *managertest.Manager
	kubeconfig string
	namespace  string
	set        *v1alpha1.DataSet
	pods       int
}

// create makes the DataSet.
func (s *scene) create(change ...func(*v1alpha1.DataSet)) {
	s.t.Helper()
	s.set = cluster.DataSet(s.t, s.namespace, "models", "web", change...)
}

// pod makes a pod whose runtime is silent.
func (s *scene) pod(change ...func(*corev1.Pod)) *corev1.Pod {
	s.t.Helper()
	s.pods++
	return cluster.Pod(s.t, s.namespace, fmt.Sprintf("web-%d", s.pods), "web", change...)
}

// serve makes pods whose runtimes deliver what they can.
func (s *scene) serve(n int) {
	s.t.Helper()
	for range n {
		s.manager.StartRuntime(s.t, cluster, s.pod(), "models")
	}
}

// fail makes a pod whose runtime delivers nothing of any version.
func (s *scene) fail() {
	s.t.Helper()
	s.manager.PlayRuntime(s.t, cluster, s.pod(), func(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.ReportRequest {
		report := managertest.Delivery(a)
		missing(report)
		return report
	}, "models")
}

// delivered makes a DataSet whose first revision n pods have.
func (s *scene) delivered(n int, change ...func(*v1alpha1.DataSet)) {
	s.t.Helper()
	s.create(change...)
	s.serve(n)
	s.reach(v1alpha1.RolloutCompleted, "")
}

func (s *scene) edit(change func(*v1alpha1.DataSet)) {
	s.t.Helper()
	managertest.Edit(s.t, cluster, s.set, change)
}

func (s *scene) request(verb string) {
	s.t.Helper()
	s.edit(func(d *v1alpha1.DataSet) {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationRolloutRequest,
			verb+" "+d.Status.UpdateRevision+" "+time.Now().Format(time.RFC3339Nano))
	})
}

// reach waits until the rollout is in a phase and, where one is named, for a reason of
// the condition Progressing.
func (s *scene) reach(phase v1alpha1.RolloutPhase, reason string) {
	s.t.Helper()
	managertest.Eventually(s.t, fmt.Sprintf("it is %s %s", phase, reason), func(ctx context.Context) (bool, error) {
		var d v1alpha1.DataSet
		if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(s.set), &d); err != nil {
			return false, err
		}
		if d.Status.ObservedGeneration != d.Generation || d.Status.Rollout == nil || d.Status.Rollout.Phase != phase {
			return false, nil
		}
		for _, c := range d.Status.Conditions {
			if c.Type == v1alpha1.ConditionProgressing {
				return reason == "" || c.Reason == reason, nil
			}
		}
		return false, nil
	})
}

// reportOnce plays a runtime that reports once on the pod's revision, and is silent then.
func (s *scene) reportOnce(p *corev1.Pod, version string, change func(*gatewayv1alpha1.ReportRequest)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	gateway := s.manager.GatewayFor(s.t, cluster, p)
	stream, err := gateway.Watch(ctx, connect.NewRequest(&gatewayv1alpha1.WatchRequest{Datasets: []string{"models"}}))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		for _, a := range stream.Msg().GetAssignments() {
			if a.GetItems()[0].GetVersion() != version {
				continue
			}
			report := managertest.Delivery(a)
			if change != nil {
				change(report)
			}
			if _, err := gateway.Report(ctx, connect.NewRequest(report)); err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
	s.t.Fatalf("pod %s was not told of version %s: %v", p.Name, version, stream.Err())
}

// missing makes of a report one of items that the source does not have.
func missing(r *gatewayv1alpha1.ReportRequest) {
	for _, item := range r.GetItems() {
		item.Phase, item.Reason, item.Message = gatewayv1alpha1.Phase_PHASE_FAILED, v1alpha1.ReasonNotFound, "nothing is stored there"
		item.Digest = ""
	}
	r.CurrentRevision = ""
}

func version(v string) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Spec.Template.DataItems[0].Version = v }
}

func deadline(seconds int32) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Spec.ProgressDeadlineSeconds = &seconds }
}

func policy(p v1alpha1.FailurePolicy) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Spec.FailurePolicy = p }
}

func rolling(change func(*v1alpha1.UpdateStrategy, *v1alpha1.RollingUpdate)) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) {
		one := intstr.FromInt32(1)
		d.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{Type: v1alpha1.RollingUpdateStrategyType,
			RollingUpdate: &v1alpha1.RollingUpdate{MaxUnavailable: &one}}
		change(&d.Spec.UpdateStrategy, d.Spec.UpdateStrategy.RollingUpdate)
	}
}

func pauseStep(u *v1alpha1.UpdateStrategy, _ *v1alpha1.RollingUpdate) {
	u.Steps = []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}}
}

// analysisStep takes its first measurement after the test.
func analysisStep(u *v1alpha1.UpdateStrategy, _ *v1alpha1.RollingUpdate) {
	u.Steps = []v1alpha1.RolloutStep{{Analysis: &v1alpha1.AnalysisStep{Interval: &metav1.Duration{Duration: time.Hour},
		HTTP: &v1alpha1.HTTPCheck{URL: "http://checks.example.com/healthy"}}}}
}

// holdBack lets a rollout move no pod.
func holdBack(_ *v1alpha1.UpdateStrategy, r *v1alpha1.RollingUpdate) {
	all := intstr.FromString("100%")
	r.Partition = &all
}

// optedOut labels a pod as one that Kuda leaves alone.
func optedOut(p *corev1.Pod) {
	metav1.SetMetaDataLabel(&p.ObjectMeta, v1alpha1.LabelInjection, v1alpha1.InjectionDisabled)
}

// optOut labels the namespace as one whose pods Kuda leaves alone.
func (s *scene) optOut() {
	s.t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	managertest.Edit(s.t, cluster, namespace, func(n *corev1.Namespace) {
		metav1.SetMetaDataLabel(&n.ObjectMeta, v1alpha1.LabelInjection, v1alpha1.InjectionDisabled)
	})
}

// refuseData lets the API server refuse new Data, as a quota does. No controller of
// quotas runs here, so that its status is written by hand.
func (s *scene) refuseData() {
	s.t.Helper()
	hard := corev1.ResourceList{"count/datas.data.kuda.io": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: s.namespace},
		Spec: corev1.ResourceQuotaSpec{Hard: hard}}
	if err := cluster.Client.Create(s.t.Context(), quota); err != nil {
		s.t.Fatal(err)
	}
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: hard.DeepCopy()}
	if err := cluster.Client.Status().Update(s.t.Context(), quota); err != nil {
		s.t.Fatal(err)
	}
}
