// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"hash/fnv"
	"slices"
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
	// Group is the value of the node label rollingUpdate.topologyKey.
	Group string
	// Revision that the pod was told to have; empty: none yet.
	Revision string
	// Delivered says that it has every item of that revision, and DeliveredAt
	// since when (to the second; zero where that is not known).
	Delivered   bool
	DeliveredAt time.Time
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
	// New is what pods get that have no revision yet.
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
	// Prefetch is the revision that the pods without it are to download, or empty.
	Prefetch string
	// Measure is the index of the analysis step of which a measurement is due
	// now, or -1. It stays due until Input.Measurement brings one.
	Measure int
	// Wake is the time after which the plan changes by itself; 0: never.
	Wake time.Duration
	// Updated counts the pods that passed the health gate: on the update revision,
	// delivered, and Ready for minReadySeconds.
	Updated int
	// Failed names the pods that failed in this rollout, sorted.
	Failed []string
	// Waits says what keeps the rollout from going further now.
	Waits Wait
}

// Wait is what a rollout waits for.
type Wait string

// What a rollout can wait for. A rollout that ended, or was stopped, waits for nothing.
const (
	WaitsForNothing Wait = ""
	// WaitsForPods: there are none.
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

// Decide makes the plan.
func Decide(in Input) Plan {
	plan := Plan{Current: stable(in), Measure: -1}
	plan.New = plan.Current
	if in.Strategy.Type == v1alpha1.OnDeleteStrategyType && !in.Paused {
		plan.New = in.Update.Name
	}

	movable, held := candidates(in, plan.Current)
	plan.HeldBack = held
	plan.Moves = afford(in, movable, plan.Current)
	plan.Complete = len(movable) == 0 && delivered(in.Pods, in.Update.Name)
	return plan
}

// stable answers the stable revision: the update revision takes the place once
// every pod has it, or where there is nothing to fall back to.
func stable(in Input) string {
	switch {
	case in.Current.Name == "":
		return in.Update.Name
	case in.Current.Name == in.Update.Name, in.Paused:
		return in.Current.Name
	case in.Current.Reach < Delivered:
		// Nobody ever had it complete: giving it to new pods would only
		// repeat the failure that the edit was made to end.
		return in.Update.Name
	case len(in.Pods) == 0:
		// A Job's next pod is to start with the newest data. A revision that
		// was tried and never worked is not trusted because its pods are gone.
		if in.Update.Reach == Assigned || partition(in) > 0 {
			return in.Current.Name
		}
		return in.Update.Name
	}
	for _, p := range in.Pods {
		if p.Revision != in.Update.Name || !p.Delivered {
			return in.Current.Name
		}
	}
	return in.Update.Name
}

// candidates answers the pods that are to be moved at some time, in a stable
// order, and how many are kept from the update revision.
func candidates(in Input, current string) (movable []Move, held int) {
	var others []Pod
	updated := 0
	for _, p := range in.Pods {
		if p.Revision == in.Update.Name {
			updated++
			continue
		}
		// One without a revision gets plan.New now; the partition counts it.
		others = append(others, p)
	}
	if in.Paused || in.Strategy.Type == v1alpha1.OnDeleteStrategyType {
		return nil, len(others)
	}
	slices.SortFunc(others, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(order(a.UID), order(b.UID)), cmp.Compare(a.UID, b.UID))
	})
	quota := len(in.Pods) - updated
	if current != in.Update.Name {
		quota = max(0, quota-partition(in))
	}
	for i, p := range others {
		target := in.Update.Name
		if i >= quota {
			target = current
			held++
		}
		if p.Revision != "" && p.Revision != target {
			movable = append(movable, Move{UID: p.UID, Revision: target})
		}
	}
	return movable, held
}

// afford answers the moves that may be made now.
//
// A delivered pod takes from the budget, which the pods that lack something
// have used up first. A pod that lacks something already loses nothing by being
// moved, and that may be what helps it; only one that is still on its way to a
// stable revision is not thrown after others onto an update that does not work.
func afford(in Input, movable []Move, current string) []Move {
	pods := make(map[types.UID]Pod, len(in.Pods))
	budget := maxUnavailable(in)
	trial := budget
	for _, p := range in.Pods {
		pods[p.UID] = p
		if !p.Delivered {
			budget--
			if p.Revision == in.Update.Name {
				trial--
			}
		}
	}
	free := func(p Pod) bool { return !p.Delivered && (p.Failed || p.Revision != current) }
	for _, m := range movable {
		if free(pods[m.UID]) {
			trial--
		}
	}
	var moves []Move
	for _, m := range movable {
		switch p := pods[m.UID]; {
		case free(p):
		case !p.Delivered && trial > 0:
			trial--
		case p.Delivered && budget > 0:
			budget--
		default:
			continue
		}
		moves = append(moves, m)
	}
	return moves
}

func delivered(pods []Pod, revision string) bool {
	for _, p := range pods {
		if p.Revision == "" || p.Revision == revision && !p.Delivered {
			return false
		}
	}
	return true
}

// order spreads pods evenly and for ever the same: it depends on nothing but the UID.
func order(uid types.UID) uint64 {
	h := fnv.New64a()
	h.Write([]byte(uid))
	return h.Sum64()
}

func maxUnavailable(in Input) int {
	value := intstr.FromString("25%")
	if r := in.Strategy.RollingUpdate; r != nil && r.MaxUnavailable != nil {
		value = *r.MaxUnavailable
	}
	return max(1, scaled(value, len(in.Pods)))
}

func partition(in Input) int {
	if r := in.Strategy.RollingUpdate; r != nil && r.Partition != nil {
		if len(in.Pods) == 0 && r.Partition.String() != "0" && r.Partition.String() != "0%" {
			return 1
		}
		return max(0, scaled(*r.Partition, len(in.Pods)))
	}
	return 0
}

// scaled rounds up. The API server has checked the form; what it would refuse
// counts as 0, the careful value in both uses.
func scaled(value intstr.IntOrString, total int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, total, true)
	if err != nil {
		return 0
	}
	return n
}
