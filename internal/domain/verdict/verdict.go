// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// State is the verdict in one word.
type State string

// The states.
const (
	// Unobserved: the manager has not looked at the present spec.
	Unobserved State = "Unobserved"
	// NoPods: no pod matches, so there is nothing to deliver.
	NoPods State = "NoPods"
	// Running: it goes on by itself.
	Running State = "Running"
	// Held: it goes on once a user says so.
	Held State = "Held"
	// Blocked: pods failed in a way that does not pass by itself. It may still be the
	// order in which things were created; Patience decides when it is final.
	Blocked State = "Blocked"
	// Failed: it ended without the pods having what the spec asks for.
	Failed State = "Failed"
	// Done: every pod has what the spec lets it have.
	Done State = "Done"
)

// PhasePending is what the phase of a rollout is called while the manager has not
// looked at the present spec: the phase in the status is that of an earlier one.
const PhasePending v1alpha1.RolloutPhase = "Pending"

// Verdict is how far a delivery is.
type Verdict struct {
	State State `json:"state"`
	// Reason is a documented CamelCase word, where there is one.
	Reason string `json:"reason,omitempty"`
	// Message says the same for people: for a failure the pod, the item and the cause.
	Message string `json:"message,omitempty"`
	// Pods is how many pods are blocked.
	Pods int `json:"pods,omitempty"`
}

// Judge returns the verdict on what the DataSet's present spec asks for. Without data,
// which not all users may read, no delivery is Blocked by an item.
func Judge(d *v1alpha1.DataSet, data []*v1alpha1.Data) Verdict {
	if !isObserved(d) {
		return judgeUnobserved(d)
	}
	r := d.Status.Rollout
	if r.Phase == v1alpha1.RolloutStopped || r.Phase == v1alpha1.RolloutRolledBack {
		return Verdict{State: Failed, Reason: r.Reason, Message: cmp.Or(r.Message, "the rollout failed")}
	}
	if v := judgeStalled(d); v.State != "" {
		return v
	}
	switch {
	case r.Phase == v1alpha1.RolloutRollingBack:
		return Verdict{State: Running, Reason: r.Reason, Message: "the moved pods go back: " + r.Message}
	case wantedPods(d) == 0:
		return judgeNoPods(d)
	case HeldBack(d) && isReady(d):
		return Verdict{State: Done, Reason: v1alpha1.ReasonHeldBack, Message: fmt.Sprintf(
			"%d of %d pods have it; spec.updateStrategy keeps the others where they are", d.Status.UpdatedReplicas, d.Status.Replicas)}
	}
	return judgePods(d, data)
}

// judgeNoPods repeats what the manager says of it: that there are none, or that those
// that are there are opted out.
func judgeNoPods(d *v1alpha1.DataSet) Verdict {
	v := Verdict{State: NoPods, Reason: v1alpha1.ReasonNoPods,
		Message: "no running pod of namespace " + d.Namespace + " carries all labels of spec.workloadSelector"}
	if c := observedCondition(d, v1alpha1.ConditionReady); c != nil && c.Reason == v1alpha1.ReasonNoPods && c.Message != "" {
		v.Message = c.Message
	}
	return v
}

// judgeStalled returns the verdict on what will not come about without help, as the
// manager says; an empty one where it does not say that. A write that was refused is
// tried again.
func judgeStalled(d *v1alpha1.DataSet) Verdict {
	if c := observedCondition(d, v1alpha1.ConditionStalled); c != nil && c.Status == metav1.ConditionTrue {
		v := Verdict{State: Failed, Reason: c.Reason, Message: c.Message}
		if c.Reason == v1alpha1.ReasonWriteRefused {
			v.State = Blocked
		}
		return v
	}
	c := observedCondition(d, v1alpha1.ConditionProgressing)
	if c != nil && c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonProgressDeadlineExceeded {
		return Verdict{State: Failed, Reason: c.Reason, Message: c.Message}
	}
	return Verdict{}
}

func judgeUnobserved(d *v1alpha1.DataSet) Verdict {
	v := Verdict{State: Unobserved, Message: "the manager has not looked at the DataSet yet"}
	if seen := d.Status.ObservedGeneration; seen > 0 && seen < d.Generation {
		v.Message = fmt.Sprintf("the manager has not looked at generation %d yet, but at %d", d.Generation, seen)
	}
	return v
}

// judgePods returns the verdict on a delivery that nothing ended yet.
func judgePods(d *v1alpha1.DataSet, data []*v1alpha1.Data) Verdict {
	// Where there is a stable revision to go back to, the rollout's own gate decides, as
	// long as it moves pods.
	if isFirstDelivery(d) || HeldBack(d) {
		if v := blockedByItems(d, data); v.State == Blocked {
			return v
		}
		if v := blockedByInjection(d); v.State == Blocked {
			return v
		}
	}
	r := d.Status.Rollout
	step := CurrentStep(d)
	switch {
	case isReady(d) && (r.Phase == v1alpha1.RolloutCompleted || isSettled(d)):
		return Verdict{State: Done, Reason: v1alpha1.ReasonDelivered, Message: countPods(d)}
	case d.Spec.Paused && r.Phase != v1alpha1.RolloutCompleted:
		return Verdict{State: Held, Reason: v1alpha1.ReasonPaused, Message: "spec.paused is set; " + countPods(d)}
	case step != nil && step.Pause != nil && step.Pause.Duration == nil:
		return Verdict{State: Held, Reason: v1alpha1.ReasonStepPaused, Message: fmt.Sprintf("step %d of %d is a pause; %s", r.Step+1,
			len(d.Spec.UpdateStrategy.Steps), countPods(d))}
	}
	return Verdict{State: Running, Message: countPods(d)}
}

// isObserved reports whether the status speaks of the present spec.
func isObserved(d *v1alpha1.DataSet) bool {
	s := &d.Status
	return s.ObservedGeneration >= d.Generation && s.ObservedGeneration > 0 && s.Rollout != nil && s.Rollout.Revision == s.UpdateRevision
}

// observedCondition returns the condition if it speaks of the present spec, or nil.
func observedCondition(d *v1alpha1.DataSet, name string) *metav1.Condition {
	c := meta.FindStatusCondition(d.Status.Conditions, name)
	if c == nil || c.ObservedGeneration < d.Generation {
		return nil
	}
	return c
}

// CurrentStep returns the step that is being taken, or nil. There are none on the way
// to the revision that is the stable one already.
func CurrentStep(d *v1alpha1.DataSet) *v1alpha1.RolloutStep {
	r := d.Status.Rollout
	if r == nil || r.Phase != v1alpha1.RolloutProgressing || int(r.Step) >= len(d.Spec.UpdateStrategy.Steps) ||
		d.Status.CurrentRevision == d.Status.UpdateRevision || r.Reason == v1alpha1.ReasonRetrying {
		return nil
	}
	return &d.Spec.UpdateStrategy.Steps[r.Step]
}

// HeldBack reports whether the rollout went as far as partition or OnDelete let it.
func HeldBack(d *v1alpha1.DataSet) bool {
	c := observedCondition(d, v1alpha1.ConditionProgressing)
	return c != nil && c.Reason == v1alpha1.ReasonHeldBack && CurrentStep(d) == nil
}

// isFirstDelivery reports whether pods get a revision that replaces no other one.
// Managers of v0.1.0 call that Completed from its begin.
func isFirstDelivery(d *v1alpha1.DataSet) bool {
	switch d.Status.Rollout.Phase {
	case v1alpha1.RolloutDelivering, v1alpha1.RolloutCompleted:
		return true
	}
	return d.Status.CurrentRevision == "" || d.Status.CurrentRevision == d.Status.UpdateRevision
}

// isReady reports whether every pod has its data now.
func isReady(d *v1alpha1.DataSet) bool {
	c := observedCondition(d, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && uninjectedPods(d) == 0
}

// isSettled reports whether the manager says that nothing is under way.
func isSettled(d *v1alpha1.DataSet) bool {
	c := observedCondition(d, v1alpha1.ConditionReconciling)
	return c != nil && c.Status == metav1.ConditionFalse
}

// wantedPods returns how many pods are to have the data, with the runtime or without.
// The count in status.ready leaves out those that are opted out; managers of v0.1.0
// leave out all that lack the runtime.
func wantedPods(d *v1alpha1.DataSet) int32 {
	var success, wanted int32
	reconciling := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionReconciling)
	if n, err := fmt.Sscanf(d.Status.Ready, "%d/%d", &success, &wanted); err == nil && n == 2 && reconciling != nil {
		return wanted
	}
	return d.Status.Replicas + d.Status.UninjectedReplicas
}

func uninjectedPods(d *v1alpha1.DataSet) int32 { return max(wantedPods(d)-d.Status.Replicas, 0) }

func countPods(d *v1alpha1.DataSet) string {
	return fmt.Sprintf("%d of %d pods have it", d.Status.UpdatedReplicas, wantedPods(d))
}

// blockedByItems speaks of the first pod that will not have its items without help.
func blockedByItems(d *v1alpha1.DataSet, data []*v1alpha1.Data) Verdict {
	v := Verdict{}
	if d.Status.Success >= d.Status.Replicas {
		return v // what failed belongs to pods that have ended
	}
	data = slices.SortedFunc(slices.Values(data), func(a, b *v1alpha1.Data) int {
		return cmp.Or(strings.Compare(a.Spec.PodName, b.Spec.PodName), strings.Compare(a.Name, b.Name))
	})
	for _, x := range data {
		if x.Spec.Withdraw || x.DeletionTimestamp != nil || x.Spec.Revision != d.Status.UpdateRevision && !HeldBack(d) {
			continue
		}
		reason, message := podFailure(x)
		if reason == "" {
			continue
		}
		if v.Pods++; v.State == "" {
			v.State, v.Reason, v.Message = Blocked, reason, "pod "+x.Spec.PodName+message
		}
	}
	if v.Pods > 1 {
		v.Message = fmt.Sprintf("%d pods failed, the first: %s", v.Pods, v.Message)
	}
	return v
}

// podFailure returns why the pod will not have its data without help, or nothing.
func podFailure(data *v1alpha1.Data) (reason, message string) {
	if ready := assignment.Ready(data); ready != nil && ready.Status != metav1.ConditionTrue &&
		ready.Reason == v1alpha1.ReasonAuthorityChanged {
		return ready.Reason, ": " + ready.Message
	}
	item, forGood := assignment.FailedItem(data)
	if !forGood {
		return "", ""
	}
	return item.Reason, fmt.Sprintf(", item %s/%s: %s", item.Namespace, item.Name, item.Message)
}

// blockedByInjection speaks of pods without the runtime, once all others have their
// data: while a workload is restarted to get it, others are on their way.
func blockedByInjection(d *v1alpha1.DataSet) Verdict {
	n := uninjectedPods(d)
	if n == 0 || d.Status.Success < d.Status.Replicas {
		return Verdict{}
	}
	v := Verdict{State: Blocked, Reason: v1alpha1.ReasonPodsNotInjected, Pods: int(n),
		Message: fmt.Sprintf("%d of %d pods do not carry the runtime and get no data", n, wantedPods(d))}
	if c := observedCondition(d, v1alpha1.ConditionInjected); c != nil && c.Status == metav1.ConditionFalse {
		v.Message += ": " + c.Message
	}
	return v
}

// Phase returns what the phase of the rollout is to be called. Completed is a promise
// that pods have their data; where they lack it, they are on their way to it.
func Phase(d *v1alpha1.DataSet, v Verdict) v1alpha1.RolloutPhase {
	switch {
	case v.State == Unobserved:
		return PhasePending
	case d.Status.Rollout.Phase == v1alpha1.RolloutCompleted && v.State != Done && v.State != NoPods:
		return v1alpha1.RolloutDelivering
	}
	return d.Status.Rollout.Phase
}
