// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kstatus_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

const (
	current     = status.CurrentStatus
	inProgress  = status.InProgressStatus
	failed      = status.FailedStatus
	terminating = status.TerminatingStatus
)

// What status -w ends with. One that waits ends by its time-out.
const (
	done  = 0
	fails = 1
	waits = 3
)

func TestADataSetNoManagerHasSeenIsInProgress(t *testing.T) {
	s := &scene{t: t, kubeconfig: cluster.Kubeconfig(t), namespace: cluster.Namespace(t)}
	s.create()
	unseen := outcome{status: inProgress}
	if got := s.outcome(); got != unseen {
		t.Errorf("%+v, want %+v", got, unseen)
	}
	s.checkReaders(unseen, waits)
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
	// code is what status -w ends with.
	code int
}{
	{"no pods", func(s *scene) { s.create() },
		outcome{v1alpha1.RolloutDelivering, current, true, true, false, "0/0"}, waits},
	{"first delivery runs", func(s *scene) { s.create(); s.pod(); s.pod() },
		outcome{v1alpha1.RolloutDelivering, inProgress, false, false, false, "0/2"}, waits},
	{"first delivery fails", func(s *scene) { s.create(version(managertest.BrokenVersion)); s.serve(2) },
		outcome{v1alpha1.RolloutDelivering, inProgress, false, false, false, "0/2"}, fails},
	{"first delivery failed past the deadline", func(s *scene) { s.create(version(managertest.BrokenVersion), deadline(1)); s.serve(2) },
		outcome{v1alpha1.RolloutDelivering, failed, false, true, true, "0/2"}, fails},
	{"first delivery done", func(s *scene) { s.delivered(2) },
		outcome{v1alpha1.RolloutCompleted, current, true, true, false, "2/2"}, done},
	{"a pod is opted out", func(s *scene) { s.delivered(1); s.pod(managertest.Uninjected, optedOut) },
		outcome{v1alpha1.RolloutCompleted, current, true, true, false, "1/1"}, done},
	{"the namespace is opted out", func(s *scene) { s.delivered(1); s.optOut(); s.pod(managertest.Uninjected) },
		outcome{v1alpha1.RolloutCompleted, current, true, true, false, "1/1"}, done},
	{"a pod is uninjected", func(s *scene) { s.delivered(1); s.pod(managertest.Uninjected) },
		outcome{v1alpha1.RolloutCompleted, inProgress, false, true, false, "1/2"}, fails},
	{"a pod is uninjected past the deadline", func(s *scene) { s.delivered(1, deadline(1)); s.pod(managertest.Uninjected) },
		outcome{v1alpha1.RolloutCompleted, failed, false, true, true, "1/2"}, fails},
	{"all pods are uninjected", func(s *scene) { s.create(); s.pod(managertest.Uninjected) },
		outcome{v1alpha1.RolloutDelivering, inProgress, false, false, false, "0/1"}, fails},
	{"rollout runs", func(s *scene) {
		s.delivered(2, rolling(func(_ *v1alpha1.UpdateStrategy, r *v1alpha1.RollingUpdate) { r.MinReadySeconds = 600 }))
		s.edit(version("v2"))
		managertest.Eventually(s.t, "a pod is moved", func(ctx context.Context) (bool, error) {
			err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(s.set), s.set)
			return s.set.Status.ObservedGeneration == s.set.Generation && s.set.Status.UpdatedReplicas == 1, err
		})
	}, outcome{v1alpha1.RolloutProgressing, inProgress, false, false, false, "2/2"}, waits},
	{"prefetching", func(s *scene) {
		s.delivered(2, func(d *v1alpha1.DataSet) { d.Spec.Prefetch = true })
		s.pod()
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutPrefetching, inProgress, false, false, false, "2/3"}, waits},
	{"pause step", func(s *scene) { s.delivered(2, rolling(pauseStep)); s.edit(version("v2")) },
		outcome{v1alpha1.RolloutProgressing, inProgress, false, false, false, "2/2"}, waits},
	{"analysis", func(s *scene) { s.delivered(2, rolling(analysisStep)); s.edit(version("v2")) },
		outcome{v1alpha1.RolloutProgressing, inProgress, false, false, false, "2/2"}, waits},
	{"paused with pods to move", func(s *scene) {
		s.delivered(2)
		s.edit(func(d *v1alpha1.DataSet) { d.Spec.Paused = true; version("v2")(d) })
	}, outcome{v1alpha1.RolloutProgressing, inProgress, false, false, false, "2/2"}, waits},
	{"paused with nothing to move", func(s *scene) {
		s.delivered(2)
		s.edit(func(d *v1alpha1.DataSet) { d.Spec.Paused = true })
	}, outcome{v1alpha1.RolloutCompleted, current, true, true, false, "2/2"}, done},
	{"held back by partition", func(s *scene) {
		s.delivered(2, rolling(func(_ *v1alpha1.UpdateStrategy, r *v1alpha1.RollingUpdate) {
			one := intstr.FromInt32(1)
			r.Partition = &one
		}))
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutProgressing, current, true, true, false, "2/2"}, done},
	{"held back by OnDelete", func(s *scene) {
		s.delivered(2, func(d *v1alpha1.DataSet) { d.Spec.UpdateStrategy.Type = v1alpha1.OnDeleteStrategyType })
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutProgressing, current, true, true, false, "2/2"}, done},
	{"held back and a pod fails", func(s *scene) { s.delivered(2, rolling(holdBack)); s.edit(version("v2")); s.fail() },
		outcome{v1alpha1.RolloutProgressing, inProgress, false, true, false, "2/3"}, fails},
	{"held back and a pod fails for ever", func(s *scene) {
		s.delivered(2, rolling(holdBack), deadline(1))
		s.edit(version("v2"))
		s.fail()
	}, outcome{v1alpha1.RolloutProgressing, failed, false, true, true, "2/3"}, fails},
	{"held back and a pod is uninjected", func(s *scene) {
		s.delivered(2, rolling(holdBack))
		s.edit(version("v2"))
		s.pod(managertest.Uninjected)
	}, outcome{v1alpha1.RolloutProgressing, inProgress, false, true, false, "2/3"}, fails},
	{"stopped", func(s *scene) { s.delivered(2); s.edit(version(managertest.BrokenVersion)) },
		outcome{v1alpha1.RolloutStopped, failed, false, true, true, "1/2"}, fails},
	{"rolling back", func(s *scene) {
		s.create(policy(v1alpha1.FailurePolicyRollback))
		p := s.pod()
		s.reportOnce(p, "v1", nil)
		s.reach(v1alpha1.RolloutCompleted, "")
		s.edit(version("v2"))
		s.reportOnce(p, "v2", missing)
	}, outcome{v1alpha1.RolloutRollingBack, inProgress, false, false, false, "0/1"}, waits},
	{"rolling back past the deadline", func(s *scene) {
		s.create(policy(v1alpha1.FailurePolicyRollback), deadline(1))
		p := s.pod()
		s.reportOnce(p, "v1", nil)
		s.reach(v1alpha1.RolloutCompleted, "")
		s.edit(version("v2"))
		s.reportOnce(p, "v2", missing)
	}, outcome{v1alpha1.RolloutRollingBack, failed, false, true, true, "0/1"}, fails},
	{"rolled back", func(s *scene) {
		s.delivered(2, policy(v1alpha1.FailurePolicyRollback))
		s.edit(version(managertest.BrokenVersion))
	}, outcome{v1alpha1.RolloutRolledBack, failed, false, true, true, "2/2"}, fails},
	{"aborted", func(s *scene) {
		s.delivered(2, rolling(pauseStep))
		s.edit(version("v2"))
		s.reach(v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused)
		s.request(v1alpha1.RequestAbort)
	}, outcome{v1alpha1.RolloutRolledBack, failed, false, true, true, "2/2"}, fails},
	{"deadline exceeded", func(s *scene) {
		s.create(deadline(1))
		s.reportOnce(s.pod(), "v1", nil)
		s.reach(v1alpha1.RolloutCompleted, "")
		s.edit(version("v2"))
	}, outcome{v1alpha1.RolloutStopped, failed, false, true, true, "0/1"}, fails},
	{"writes are refused", func(s *scene) { s.refuseData(); s.create(); s.pod() },
		outcome{v1alpha1.RolloutDelivering, inProgress, false, false, false, "0/1"}, fails},
	{"writes are refused for more than a minute", func(s *scene) { s.refuseData(); s.create(); s.pod() },
		outcome{v1alpha1.RolloutDelivering, failed, false, true, true, "0/1"}, fails},
	{"a pod fails later", func(s *scene) {
		s.delivered(1)
		s.reportOnce(s.pod(), "v1", missing)
	}, outcome{v1alpha1.RolloutCompleted, inProgress, false, true, false, "1/2"}, fails},
	{"a pod fails for ever", func(s *scene) {
		s.delivered(1, deadline(1))
		s.reportOnce(s.pod(), "v1", missing)
	}, outcome{v1alpha1.RolloutCompleted, failed, false, true, true, "1/2"}, fails},
	{"being withdrawn", func(s *scene) {
		s.create(func(d *v1alpha1.DataSet) { d.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRemove })
		s.reportOnce(s.pod(), "v1", nil)
		s.reach(v1alpha1.RolloutCompleted, "")
		cluster.Delete(s.t, s.set)
	}, outcome{v1alpha1.RolloutCompleted, terminating, false, false, false, "1/1"}, waits},
}

// come waits until the state is there. The longest way to one is that of refused writes.
func (s *scene) come(want outcome) {
	s.t.Helper()
	var got outcome
	err := wait.PollUntilContextTimeout(s.t.Context(), 100*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		got = s.outcome()
		return got == want, nil
	})
	if err != nil {
		s.t.Fatalf("%+v, want %+v", got, want)
	}
	// It lasts: what is seen is no moment on the way to another state.
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		if got = s.outcome(); got != want {
			s.t.Fatalf("it did not last: %+v, want %+v", got, want)
		}
	}
}

func TestEachStateIsReadAsWhatItIs(t *testing.T) {
	m := cluster.StartManager(t)
	for _, c := range states {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &scene{t: t, manager: m, kubeconfig: cluster.Kubeconfig(t), namespace: cluster.Namespace(t)}
			c.make(s)
			s.come(c.want)
			s.checkReaders(c.want, c.code)
		})
	}
}

func TestADeliveryToNoPodsIsAcceptedWhereAsked(t *testing.T) {
	s := &scene{t: t, manager: cluster.StartManager(t), kubeconfig: cluster.Kubeconfig(t), namespace: cluster.Namespace(t)}
	s.create()
	s.checkFollow(done, "--allow-no-pods")
}
