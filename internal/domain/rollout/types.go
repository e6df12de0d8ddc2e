// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Reach says how far a revision ever came.
type Reach int

// The order matters: each includes the ones before it.
const (
	// Untried: no pod was told to have it.
	Untried Reach = iota
	// Assigned: at least one pod was told to have it.
	Assigned
	// Delivered: at least one pod had all of it.
	Delivered
)

// Revision is a revision's name and how far it came.
type Revision struct {
	Name  string
	Reach Reach
}

// Pod is one running pod that carries the runtime.
type Pod struct {
	UID  types.UID
	Name string
	// Born is when the pod was created (to the second); zero: long ago.
	Born time.Time
	// Group is the value of the node label rollingUpdate.topologyKey.
	Group string
	// NotStarted says that the pod's runtime has never run, as in a pod without a
	// node, or whose sandbox cannot be made: the pod holds nothing and loses nothing.
	NotStarted bool
	// Revision that the pod was told to have; empty: none yet.
	Revision string
	// Delivered says that it has every item of that revision, and DeliveredAt
	// since when (to the second; zero where that is not known).
	Delivered   bool
	DeliveredAt time.Time
	// Downloading says that its items are on their way, and none has failed.
	Downloading bool
	// Failed says that an item of that revision failed with a reason that trying
	// again does not help, and FailedMessage which.
	Failed        bool
	FailedMessage string
	// Ready is the pod's condition Ready, and ReadySince the time of its last
	// transition, whichever way it went (to the second).
	Ready      bool
	ReadySince time.Time
	// Restarts of its containers, the runtime's not counted.
	Restarts int32
	// RuntimeDown says that the pod cannot be Ready, because its runtime's
	// container does not run (again) yet. RuntimeRestarts says how often that was
	// started again, and RuntimeStarted when last (to the second; zero for never).
	RuntimeDown     bool
	RuntimeRestarts int32
	RuntimeStarted  time.Time
	// Baseline is what the pod was like when it was moved to Revision; nil for
	// the revision that it started with.
	Baseline *v1alpha1.PodHealth
	// Prefetched says that all of the update revision is in its store, and
	// PrefetchFailed that it cannot be had; both as last reported, whether
	// the pod is still asked to prefetch or not.
	Prefetched, PrefetchFailed bool
	PrefetchMessage            string
}

// Measurement is one that an analysis step asked for.
type Measurement struct {
	// Step is the index of that step.
	Step int
	// Time at which it was taken.
	Time    time.Time
	OK      bool
	Message string
}

// Input is all that a plan depends on.
type Input struct {
	Strategy v1alpha1.UpdateStrategy
	Paused   bool
	Prefetch bool
	// FillCache has one pod fill the caches in front of the sources, and download the
	// update revision ahead, before the others do.
	FillCache bool
	// FailurePolicy is Pause where it is empty.
	FailurePolicy v1alpha1.FailurePolicy
	// FailureThreshold is 1 where it is nil.
	FailureThreshold *intstr.IntOrString
	// ProgressDeadline is none where it is 0.
	ProgressDeadline time.Duration

	// Current is the stable revision, as the last plan left it; without a name
	// at the start.
	Current Revision
	// Update is the revision of the template as it is now.
	Update Revision
	// State is Plan.State as it was last written (status.rollout), be it of
	// this revision or of another; nil at the start. It is never older than what
	// this manager wrote last: a pass over an outdated one must not be planned.
	State *v1alpha1.RolloutStatus
	// Request is the value of the annotation kuda.io/rollout-request.
	Request string
	// RequestedBy is the user who set it; empty where that is not known.
	RequestedBy string
	// Measurement is the newest that was taken, or nil. It may be given again.
	Measurement *Measurement
	Pods        []Pod
	Now         time.Time
}

// Plan is what is to be done now. State is written before anything else of it
// is carried out: after a crash in between, the next plan knows what was decided.
type Plan struct {
	// Current is the stable revision from now on.
	Current string
	// New is what pods get that have no revision yet, and those that have not started.
	New string
	// Moves maps pods to the revision they are to be moved to now, in order.
	Moves []Move
	// HeldBack is the number of pods that the partition, a step, OnDelete or a
	// pause keeps from the update revision, or the failure of that revision.
	HeldBack int
	// Complete says that every pod that may have the update revision has it.
	Complete bool

	// State is to be written as status.rollout.
	State v1alpha1.RolloutStatus
	// Outcome is how the rollout ended, or that it has not.
	Outcome v1alpha1.RolloutOutcome
	// Prefetch is the revision that the pods without it are to download, or empty.
	Prefetch string
	// Filler is the only pod that downloads it for now, and fills the caches with it
	// before; empty: all pods do, and the caches are not filled.
	Filler types.UID
	// Measure is the index of the analysis step of which a measurement is due
	// now, or -1. It stays due until Input.Measurement brings one.
	Measure int
	// Wake is the time after which the plan changes by itself; 0: never.
	Wake time.Duration
	// Updated counts the pods that count as updated.
	Updated int
	// NotStarted counts the pods whose runtime has never run. No other number of
	// the plan includes them.
	NotStarted int
	// Failed names the pods that failed in this rollout, sorted.
	Failed []string
	// Failures says what is wrong with those of them that fail now, by name; none
	// where pods are not judged.
	Failures map[string]string
	// Waits says what keeps the rollout from going further now.
	Waits Wait
}

// Wait is what a rollout waits for.
type Wait string

// What a rollout can wait for. A rollout that ended, or was stopped, waits for nothing.
const (
	WaitsForNothing Wait = ""
	// WaitsForPods: there are none that have started.
	WaitsForPods Wait = "Pods"
	// WaitsForResume: spec.paused.
	WaitsForResume Wait = "Resume"
	// WaitsForPrefetch: the bytes are on their way to the nodes.
	WaitsForPrefetch Wait = "Prefetch"
	// WaitsForStep: a pause step.
	WaitsForStep Wait = "Step"
	// WaitsForAnalysis: an analysis step.
	WaitsForAnalysis Wait = "Analysis"
	// WaitsForPartition: the rest is held back by rollingUpdate.partition, or
	// by OnDelete.
	WaitsForPartition Wait = "Partition"
	// WaitsForDelivery: moved pods have not got everything yet.
	WaitsForDelivery Wait = "Delivery"
	// WaitsForReady: moved pods are not Ready, or not for minReadySeconds.
	WaitsForReady Wait = "Ready"
	// WaitsForBudget: pods that are unavailable for other reasons use maxUnavailable up.
	WaitsForBudget Wait = "Budget"
)

// Move is a pod and the revision it is to have.
type Move struct {
	UID      types.UID
	Revision string
}
