// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const rolloutPods = 24

// TestRolloutOfTwentyFourPods shares its pods between tests of what may happen
// to a rollout.
func TestRolloutOfTwentyFourPods(t *testing.T) {
	f := newFleet(t, "fleet", rolloutPods, func(spec *v1alpha1.DataSetSpec, _ *appsv1.Deployment) {
		spec.UpdateStrategy.RollingUpdate = atMost("3")
		spec.FailurePolicy = v1alpha1.FailurePolicyRollback
	})
	good := "v1"
	t.Run("Promise10MaxUnavailableHoldsThroughThreeKillsOfTheManager", func(t *testing.T) {
		f.eyes.forget()
		f.edit(t, "v2", func(spec *v1alpha1.DataSetSpec) { spec.UpdateStrategy.RollingUpdate.MinReadySeconds = 2 })
		for kills := range 3 {
			f.waitUpdated(t, int32(3+6*kills))
			if n := kill(t, "kuda-manager", ""); n == 0 {
				t.Fatal("no manager was found to kill")
			}
		}
		f.waitPhase(t, v1alpha1.RolloutCompleted, 5*time.Minute)
		f.waitVersions(t, map[string]int{"v2": rolloutPods}, 5*time.Second)
		if worst := f.eyes.mostAway(); worst > 3 || worst == 0 {
			t.Errorf("%d pods were away from Ready with a complete version at once, at most 3 may be", worst)
		}
		f.checkSamples(t)
		good = "v2"
	})
	for _, c := range []struct {
		name, version string
		edit          func(*v1alpha1.DataSetSpec)
		most          int // pods that may be touched
		reason        string
	}{
		{"AHookThatFailsOnEveryPod", "hook", func(spec *v1alpha1.DataSetSpec) {
			spec.Template.DataItems[0].Lifecycle = &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{
				Exec: &corev1.ExecAction{Command: []string{"/e2e-app", "fail", "not a model"}}}}
		}, 3, v1alpha1.ReasonPodsFailed},
		{"AnApplicationThatTurnsUnready", "unready", func(spec *v1alpha1.DataSetSpec) {
			spec.UpdateStrategy.RollingUpdate.MinReadySeconds = 10
		}, 3, v1alpha1.ReasonPodsFailed},
		{"AWrongDigest", "digest", func(spec *v1alpha1.DataSetSpec) {
			spec.Template.DataItems[0].Digest = "sha256:" + strings.Repeat("0", 64)
		}, 3, v1alpha1.ReasonPodsFailed},
		{"AnApplicationThatTurnsUnreadyEverywhere", "unready", func(spec *v1alpha1.DataSetSpec) {
			spec.UpdateStrategy.RollingUpdate = atMost("100%")
			spec.UpdateStrategy.RollingUpdate.MinReadySeconds = 10
		}, rolloutPods, v1alpha1.ReasonPodsFailed},
	} {
		t.Run(c.name+"IsRolledBackWithoutADownload", func(t *testing.T) {
			f.rollsBack(t, good, c.version, c.edit, c.most, c.reason)
		})
	}
}

// waitUpdated waits until at least n pods have the update revision, and not all.
func (f *fleet) waitUpdated(t *testing.T, n int32) {
	t.Helper()
	f.waitStatus(t, 3*time.Minute, func(s *v1alpha1.DataSetStatus) error {
		if s.UpdatedReplicas < n {
			return fmt.Errorf("%d pods are updated, want %d", s.UpdatedReplicas, n)
		}
		if s.Rollout.Phase != v1alpha1.RolloutProgressing {
			return fmt.Errorf("phase %s", s.Rollout.Phase)
		}
		return nil
	})
}

// rollsBack rolls out a version that fails, and checks what follows.
func (f *fleet) rollsBack(t *testing.T, good, version string, edit func(*v1alpha1.DataSetSpec), most int, reason string) {
	t.Helper()
	goodFile := f.prefix + good + "/payload.bin"
	before := store.served(goodFile)
	f.eyes.forget()
	began := time.Now()
	f.edit(t, version, edit)
	ds := f.waitPhase(t, v1alpha1.RolloutRolledBack, 5*time.Minute)
	f.waitVersions(t, map[string]int{good: rolloutPods}, 10*time.Second)
	if ds.Status.Rollout.Reason != reason {
		t.Errorf("reason %s (%s), want %s", ds.Status.Rollout.Reason, ds.Status.Rollout.Message, reason)
	}
	touched := map[string]bool{}
	for _, m := range f.eyes.movesTo(ds.Status.UpdateRevision) {
		touched[m.pod] = true
	}
	if len(touched) > most || len(touched) == 0 {
		t.Errorf("%d pods were touched, at most %d may be", len(touched), most)
	}
	if worst := f.eyes.mostAway(); worst > most {
		t.Errorf("%d pods were away at once, at most %d may be", worst, most)
	}
	if after := store.served(goodFile); after != before {
		t.Errorf("going back downloaded: %+v, before %+v", after, before)
	}
	detected, back := f.eyes.since(v1alpha1.RolloutRollingBack), f.eyes.since(v1alpha1.RolloutRolledBack)
	lastRead, readers := f.lastSeen(t, good, began)
	t.Logf("%d pods touched; from the edit to the detection %s, from there to the last pod back %s (status), %s (%d "+
		"applications read it again)",
		len(touched), detected.Sub(began).Round(time.Millisecond), back.Sub(detected).Round(time.Millisecond),
		lastRead.Sub(detected).Round(time.Millisecond), readers)
	f.stays(t, v1alpha1.RolloutRolledBack)
	f.checkSamples(t)
	// The way out that users take: a version that works.
	f.edit(t, good, func(spec *v1alpha1.DataSetSpec) { spec.UpdateStrategy.RollingUpdate = atMost("3") })
	f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
}

// stays looks for a while that no pod leaves a phase: a rollout that failed
// is not tried again.
func (f *fleet) stays(t *testing.T, phase v1alpha1.RolloutPhase) {
	t.Helper()
	for range 10 {
		pause(t, 300*time.Millisecond)
		ds, err := f.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := ds.Status.Rollout.Phase; got != phase {
			t.Fatalf("the rollout went from %s to %s by itself", phase, got)
		}
	}
}

// TestRolloutOfEightPods shares its pods between tests of what users do.
func TestRolloutOfEightPods(t *testing.T) {
	f := newFleet(t, "eight", 8, func(spec *v1alpha1.DataSetSpec, _ *appsv1.Deployment) { twoAtOnce(spec) })
	t.Run("UndoGoesThreeRevisionsBack", f.testUndoGoesThreeRevisionsBack)
	t.Run("TwoEditsWhileARolloutRunsEndAtTheLast", f.testTwoEditsWhileARolloutRunsEndAtTheLast)
	t.Run("APauseInTheMiddleOutlastsTheManager", f.testAPauseInTheMiddleOutlastsTheManager)
	t.Run("OnDeleteGivesTheRevisionToNewPodsOnly", f.testOnDeleteGivesTheRevisionToNewPodsOnly)
	t.Run("PartitionHoldsNewPodsOnTheStableVersion", f.testPartitionHoldsNewPodsOnTheStableVersion)
}

func twoAtOnce(spec *v1alpha1.DataSetSpec) { spec.UpdateStrategy.RollingUpdate = atMost("2") }

func slowly(spec *v1alpha1.DataSetSpec) { spec.UpdateStrategy.RollingUpdate.MinReadySeconds = 2 }

func (f *fleet) testUndoGoesThreeRevisionsBack(t *testing.T) {
	for _, version := range []string{"v2", "v3", "v4"} {
		f.edit(t, version, twoAtOnce)
		f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
	}
	ds, _ := f.get(t.Context())
	history := ds.Status.History
	if len(history) != 4 {
		t.Fatalf("history has %d entries, want 4: %+v", len(history), history)
	}
	before := store.served(f.prefix + "v1/payload.bin")
	kudaCommand(t, "-n", f.ns, "undo", f.name, fmt.Sprintf("--to-revision=%d", history[0].Number))
	f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
	f.waitVersions(t, map[string]int{"v1": 8}, 5*time.Second)
	t.Logf("undone; of the old version %d bytes were fetched", store.served(f.prefix+"v1/payload.bin").bytes-before.bytes)
}

func (f *fleet) testTwoEditsWhileARolloutRunsEndAtTheLast(t *testing.T) {
	f.eyes.forget()
	f.edit(t, "v5", slowly)
	f.waitUpdated(t, 2)
	f.edit(t, "v6", slowly)
	f.waitUpdated(t, 2)
	f.edit(t, "v7", slowly)
	f.waitPhase(t, v1alpha1.RolloutCompleted, 2*time.Minute)
	f.waitVersions(t, map[string]int{"v7": 8}, 5*time.Second)
	ds, _ := f.get(t.Context())
	var outcomes []v1alpha1.RolloutOutcome
	for _, h := range ds.Status.History[len(ds.Status.History)-3:] {
		outcomes = append(outcomes, h.Outcome)
	}
	if want := "[Superseded Superseded Succeeded]"; fmt.Sprint(outcomes) != want {
		t.Errorf("outcomes %v, want %s", outcomes, want)
	}
	if worst := f.eyes.mostAway(); worst > 2 {
		t.Errorf("%d pods were away at once, at most 2 may be", worst)
	}
	f.edit(t, "v7", twoAtOnce)
}

func (f *fleet) testAPauseInTheMiddleOutlastsTheManager(t *testing.T) {
	f.edit(t, "v8", slowly)
	f.waitUpdated(t, 2)
	kudaCommand(t, "-n", f.ns, "pause", f.name)
	f.settle(t)
	held := f.versions(t)
	if held["v7"] == 0 || held["v8"] == 0 {
		t.Fatalf("the pause came at the wrong time: %v", held)
	}
	kill(t, "kuda-manager", "")
	managersRun(t)
	f.waitVersions(t, held, 5*time.Second)
	kudaCommand(t, "-n", f.ns, "resume", f.name)
	f.waitPhase(t, v1alpha1.RolloutCompleted, 2*time.Minute)
	f.waitVersions(t, map[string]int{"v8": 8}, 5*time.Second)
}

func (f *fleet) testOnDeleteGivesTheRevisionToNewPodsOnly(t *testing.T) {
	f.edit(t, "v9", func(spec *v1alpha1.DataSetSpec) {
		spec.UpdateStrategy = v1alpha1.UpdateStrategy{Type: v1alpha1.OnDeleteStrategyType}
	})
	f.settle(t)
	f.waitVersions(t, map[string]int{"v8": 8}, time.Second)
	victim := f.pods(t)[0]
	if err := kube.Delete(t.Context(), &victim); err != nil {
		t.Fatal(err)
	}
	f.waitReady(t, 8)
	f.waitVersions(t, map[string]int{"v8": 7, "v9": 1}, time.Minute)
	update(t, f.ds, func() {
		f.ds.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{Type: v1alpha1.RollingUpdateStrategyType, RollingUpdate: atMost("2")}
	})
	f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
}

func (f *fleet) testPartitionHoldsNewPodsOnTheStableVersion(t *testing.T) {
	f.edit(t, "v9", twoAtOnce)
	f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
	f.edit(t, "v10", func(spec *v1alpha1.DataSetSpec) {
		spec.UpdateStrategy.RollingUpdate = atMost("2")
		spec.UpdateStrategy.RollingUpdate.Partition = ptr.To(intstr.FromString("50%"))
	})
	f.waitVersions(t, map[string]int{"v9": 4, "v10": 4}, time.Minute)
	old := map[string]bool{}
	for _, p := range f.pods(t) {
		old[p.Name] = true
	}
	f.scale(t, 16)
	f.waitReady(t, 16)
	f.waitVersions(t, map[string]int{"v9": 8, "v10": 8}, time.Minute)
	for name, s := range f.samples(t) {
		if first := s.Files[sampled][0].Version; !old[name] && first != "v9" {
			t.Errorf("the new pod %s began with %s, the stable version is v9", name, first)
		}
	}
	f.checkSamples(t)
}

// settle lets a rollout go as far as it goes by itself.
func (f *fleet) settle(t *testing.T) {
	t.Helper()
	pause(t, 3*time.Second)
}
