// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kstatus_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

var cluster *managertest.Cluster

func TestMain(m *testing.M) {
	var err error
	if cluster, err = managertest.NewCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// scene is a DataSet in a namespace of its own.
type scene struct {
	t         *testing.T
	manager   *managertest.Manager
	namespace string
	set       *v1alpha1.DataSet
	pods      int
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

func denied(r *gatewayv1alpha1.ReportRequest) {
	for _, item := range r.GetItems() {
		item.Phase, item.Reason, item.Message = gatewayv1alpha1.Phase_PHASE_FAILED, v1alpha1.ReasonAccessDenied, "the source refused"
		item.Digest = ""
	}
	r.CurrentRevision = ""
}

// outcome is what others see of a DataSet.
type outcome struct {
	phase  v1alpha1.RolloutPhase
	status status.Status
	// ready and settled: kubectl wait --for=condition=Ready, and for Reconciling=false.
	ready, settled bool
	stalled        bool
	column         string
}

func (s *scene) outcome() outcome {
	s.t.Helper()
	var d v1alpha1.DataSet
	if err := cluster.Client.Get(s.t.Context(), client.ObjectKeyFromObject(s.set), &d); err != nil {
		s.t.Fatal(err)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&d)
	if err != nil {
		s.t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: object}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSet"))
	result, err := status.Compute(u)
	if err != nil {
		s.t.Fatal(err)
	}
	o := outcome{status: result.Status, column: d.Status.Ready, ready: isMet(u, "Ready", "True"),
		settled: isMet(u, "Reconciling", "False"), stalled: isMet(u, "Stalled", "True")}
	if d.Status.Rollout != nil {
		o.phase = d.Status.Rollout.Phase
	}
	return o
}

// isMet reports whether kubectl wait takes a condition as met. One that speaks of an
// earlier generation counts for nothing.
func isMet(u *unstructured.Unstructured, kind, want string) bool {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] != kind {
			continue
		}
		observed, found, _ := unstructured.NestedInt64(condition, "observedGeneration")
		if !found {
			observed, found, _ = unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		}
		return (!found || observed >= u.GetGeneration()) && condition["status"] == want
	}
	return false
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

const (
	current     = status.CurrentStatus
	inProgress  = status.InProgressStatus
	failed      = status.FailedStatus
	terminating = status.TerminatingStatus
)

func TestADataSetNoManagerHasSeenIsInProgress(t *testing.T) {
	s := &scene{t: t, namespace: cluster.Namespace(t)}
	s.create()
	if got, want := s.outcome(), (outcome{status: inProgress}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	var d v1alpha1.DataSet
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(s.set), &d); err != nil || d.Status.ObservedGeneration != -1 {
		t.Errorf("observedGeneration %d, %v", d.Status.ObservedGeneration, err)
	}
	// A client that writes the object back, status and all, changes nothing.
	if err := cluster.Client.Update(t.Context(), &d); err != nil || d.Status.ObservedGeneration != -1 {
		t.Errorf("after an update: observedGeneration %d, %v", d.Status.ObservedGeneration, err)
	}
	s.manager = cluster.StartManager(t)
	s.reach(v1alpha1.RolloutDelivering, v1alpha1.ReasonNoPods)
}

// states are those of the table in docs/design/013-status.md.
var states = []struct {
	name string
	make func(*scene)
	want outcome
}{
	{"no pods", func(s *scene) { s.create() },
		outcome{v1alpha1.RolloutDelivering, current, true, true, false, "0/0"}},
	{"first delivery runs", func(s *scene) { s.create(); s.pod(); s.pod() },
		outcome{v1alpha1.RolloutDelivering, inProgress, false, false, false, "0/2"}},
	{"first delivery fails", func(s *scene) { s.create(version(managertest.BrokenVersion)); s.serve(2) },
		outcome{v1alpha1.RolloutDelivering, inProgress, false, false, false, "0/2"}},
	{"first delivery failed past the deadline", func(s *scene) { s.create(version(managertest.BrokenVersion), deadline(1)); s.serve(2) },
		outcome{v1alpha1.RolloutDelivering, failed, false, true, true, "0/2"}},
	{"first delivery done", func(s *scene) { s.delivered(2) },
		outcome{v1alpha1.RolloutCompleted, current, true, true, false, "2/2"}},
	{"a pod is uninjected", func(s *scene) { s.delivered(1); s.pod(managertest.Uninjected) },
		outcome{v1alpha1.RolloutCompleted, inProgress, false, true, false, "1/2"}},
	{"a pod is uninjected past the deadline", func(s *scene) { s.delivered(1, deadline(1)); s.pod(managertest.Uninjected) },
		outcome{v1alpha1.RolloutCompleted, failed, false, true, true, "1/2"}},
	{"all pods are uninjected", func(s *scene) { s.create(); s.pod(managertest.Uninjected) },
		outcome{v1alpha1.RolloutDelivering, inProgress, false, false, false, "0/1"}},
	{"rollout runs", func(s *scene) {
		s.delivered(2, rolling(func(_ *v1alpha1.UpdateStrategy, r *v1alpha1.RollingUpdate) { r.MinReadySeconds = 600 }))
		s.edit(version("v2"))
		managertest.Eventually(s.t, "a pod is moved", func(ctx context.Context) (bool, error) {
			err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(s.set), s.set)
			return s.set.Status.ObservedGeneration == s.set.Generation && s.set.Status.UpdatedReplicas == 1, err
		})
	}, outcome{v1alpha1.RolloutProgressing, inProgress, false, false, false, "2/2"}},
	{"prefetching", func(s *scene) {
		s.delivered(2, func(d *v1alpha1.DataSet) { d.Spec.Prefetch = true })
		s.pod()
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutPrefetching, inProgress, false, false, false, "2/3"}},
	{"pause step", func(s *scene) { s.delivered(2, rolling(pauseStep)); s.edit(version("v2")) },
		outcome{v1alpha1.RolloutProgressing, inProgress, false, false, false, "2/2"}},
	{"paused with pods to move", func(s *scene) {
		s.delivered(2)
		s.edit(func(d *v1alpha1.DataSet) { d.Spec.Paused = true; version("v2")(d) })
	}, outcome{v1alpha1.RolloutProgressing, inProgress, false, false, false, "2/2"}},
	{"paused with nothing to move", func(s *scene) {
		s.delivered(2)
		s.edit(func(d *v1alpha1.DataSet) { d.Spec.Paused = true })
	}, outcome{v1alpha1.RolloutCompleted, current, true, true, false, "2/2"}},
	{"held back by partition", func(s *scene) {
		s.delivered(2, rolling(func(_ *v1alpha1.UpdateStrategy, r *v1alpha1.RollingUpdate) {
			one := intstr.FromInt32(1)
			r.Partition = &one
		}))
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutProgressing, current, true, true, false, "2/2"}},
	{"held back by OnDelete", func(s *scene) {
		s.delivered(2, func(d *v1alpha1.DataSet) { d.Spec.UpdateStrategy.Type = v1alpha1.OnDeleteStrategyType })
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutProgressing, current, true, true, false, "2/2"}},
	{"stopped", func(s *scene) { s.delivered(2); s.edit(version(managertest.BrokenVersion)) },
		outcome{v1alpha1.RolloutStopped, failed, false, true, true, "1/2"}},
	{"rolling back", func(s *scene) {
		s.create(policy(v1alpha1.FailurePolicyRollback))
		p := s.pod()
		s.reportOnce(p, "v1", nil)
		s.reach(v1alpha1.RolloutCompleted, "")
		s.edit(version("v2"))
		s.reportOnce(p, "v2", denied)
	}, outcome{v1alpha1.RolloutRollingBack, inProgress, false, false, false, "0/1"}},
	{"rolled back", func(s *scene) {
		s.delivered(2, policy(v1alpha1.FailurePolicyRollback))
		s.edit(version(managertest.BrokenVersion))
	}, outcome{v1alpha1.RolloutRolledBack, failed, false, true, true, "2/2"}},
	{"aborted", func(s *scene) {
		s.delivered(2, rolling(pauseStep))
		s.edit(version("v2"))
		s.reach(v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused)
		s.request(v1alpha1.RequestAbort)
	}, outcome{v1alpha1.RolloutRolledBack, failed, false, true, true, "2/2"}},
	{"deadline exceeded", func(s *scene) {
		s.create(deadline(1))
		s.reportOnce(s.pod(), "v1", nil)
		s.reach(v1alpha1.RolloutCompleted, "")
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutStopped, failed, false, true, true, "0/1"}},
	{"refused writes", func(s *scene) { s.refuseData(); s.create(); s.pod() },
		outcome{v1alpha1.RolloutDelivering, failed, false, true, true, "0/1"}},
	{"a pod fails later", func(s *scene) {
		s.delivered(1)
		s.reportOnce(s.pod(), "v1", denied)
	}, outcome{v1alpha1.RolloutCompleted, inProgress, false, true, false, "1/2"}},
	{"a pod fails for ever", func(s *scene) {
		s.delivered(1, deadline(1))
		s.reportOnce(s.pod(), "v1", denied)
	}, outcome{v1alpha1.RolloutCompleted, failed, false, true, true, "1/2"}},
	{"being withdrawn", func(s *scene) {
		s.create(func(d *v1alpha1.DataSet) { d.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRemove })
		s.reportOnce(s.pod(), "v1", nil)
		s.reach(v1alpha1.RolloutCompleted, "")
		cluster.Delete(s.t, s.set)
	}, outcome{v1alpha1.RolloutCompleted, terminating, false, false, false, "1/1"}},
}

func TestEachStateIsReadAsWhatItIs(t *testing.T) {
	m := cluster.StartManager(t)
	for _, c := range states {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &scene{t: t, manager: m, namespace: cluster.Namespace(t)}
			c.make(s)
			var got outcome
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("last seen: %+v, want %+v", got, c.want)
				}
			})
			managertest.Eventually(t, "it shows", func(context.Context) (bool, error) {
				got = s.outcome()
				return got == c.want, nil
			})
			// It lasts: what is seen is no moment on the way to another state.
			for range 5 {
				time.Sleep(100 * time.Millisecond)
				if got = s.outcome(); got != c.want {
					t.Fatal("it did not last")
				}
			}
		})
	}
}
