// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Health is what a rollout compares a pod with: whether it is Ready, since
// when, and how often the containers of the application restarted. Containers
// that run before it (init containers) do not count, and the runtime for itself.
func Health(p *corev1.Pod) v1alpha1.PodHealth {
	var h v1alpha1.PodHealth
	if c := readyCondition(p); c != nil {
		h.Ready = c.Status == corev1.ConditionTrue
		if !c.LastTransitionTime.IsZero() {
			h.ReadyTransitionTime = c.LastTransitionTime.DeepCopy()
		}
	}
	for i := range p.Status.ContainerStatuses {
		h.Restarts += p.Status.ContainerStatuses[i].RestartCount
	}
	_, statuses := nativeSidecars(p)
	for i := range statuses {
		h.Restarts += statuses[i].RestartCount
	}
	if s := interruptedRuntime(p); s != nil {
		h.RuntimeRestarts = s.RestartCount
	}
	return h
}

// RuntimeState is what the kubelet says of the runtime's container. The zero
// value is that of one which runs since the pod began, or of which nothing is known.
type RuntimeState struct {
	// Down says that it does not run, or has not answered its startup probe
	// since it started again. A pod is not Ready in that time, whatever its application does.
	Down bool
	// Started is when it last started again (to the second).
	Started time.Time
}

// Runtime is the state of the runtime's container.
func Runtime(p *corev1.Pod) RuntimeState {
	s := interruptedRuntime(p)
	if s == nil {
		return RuntimeState{}
	}
	state := RuntimeState{Down: !s.Ready}
	if s.State.Running != nil {
		state.Started = s.State.Running.StartedAt.Time
	}
	return state
}

// dyingRestarts is from how many restarts on a runtime that ends by itself is
// taken for one that cannot live: one may be the node's memory, or an upgrade.
const dyingRestarts = 3

// A runtime that died is taken for one that lives when it has run for twice as long as
// the last time, within these bounds. In the meantime it may be Ready, and die
// the next moment: a status that went by that would change to and fro. The kubelet
// forgets that a container died after the upper one.
const (
	leastLife = time.Minute
	mostLife  = 10 * time.Minute
)

// Dies reports whether the runtime's container ends again and again, so that what it
// reported last says nothing about the present.
func Dies(p *corev1.Pod, now time.Time) bool {
	s := runtimeStatus(p)
	if s == nil || s.RestartCount < dyingRestarts {
		return false
	}
	if s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff" {
		return true
	}
	ended := lastEnd(s)
	return ended != nil && ended.ExitCode != 0 && (s.State.Running == nil || now.Before(Settles(p)))
}

// Settles is when a runtime that died again and again, and runs now, counts as living
// if it goes on running. It is zero for one that does not run, or died seldom.
func Settles(p *corev1.Pod) time.Time {
	s := runtimeStatus(p)
	if s == nil || s.RestartCount < dyingRestarts || s.State.Running == nil {
		return time.Time{}
	}
	ended := lastEnd(s)
	if ended == nil || ended.ExitCode == 0 {
		return time.Time{}
	}
	life := leastLife
	if !ended.StartedAt.IsZero() {
		life = min(max(leastLife, 2*ended.FinishedAt.Sub(ended.StartedAt.Time)), mostLife)
	}
	return s.State.Running.StartedAt.Add(life)
}

// lastEnd is how the container ended last; nil if it never did.
func lastEnd(s *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if s.State.Terminated != nil {
		return s.State.Terminated
	}
	return s.LastTerminationState.Terminated
}

// Runs reports whether the runtime's container runs; it need not be ready.
func Runs(p *corev1.Pod) bool {
	s := runtimeStatus(p)
	return s != nil && s.State.Running != nil
}

// Stopped reports whether the runtime's container has run and does not run now.
func Stopped(p *corev1.Pod) bool {
	s := runtimeStatus(p)
	return s != nil && s.State.Running == nil && Started(p)
}

// Started reports whether the runtime's container has ever run. A pod without a
// node, or whose volumes, sandbox or image fail, has not started: it holds no data.
func Started(p *corev1.Pod) bool {
	if p.Status.Phase != corev1.PodPending {
		return true
	}
	s := runtimeStatus(p)
	return s != nil && (s.RestartCount > 0 || s.State.Running != nil || s.State.Terminated != nil || s.LastTerminationState.Terminated != nil)
}

// interruptedRuntime is the status of the runtime's container if it restarted or
// does not run, else nil: of most pods nothing need be kept.
func interruptedRuntime(p *corev1.Pod) *corev1.ContainerStatus {
	if s := runtimeStatus(p); s != nil && (s.RestartCount > 0 || !s.Ready) {
		return s
	}
	return nil
}

func runtimeStatus(p *corev1.Pod) *corev1.ContainerStatus {
	for i := range p.Status.InitContainerStatuses {
		if s := &p.Status.InitContainerStatuses[i]; s.Name == sidecar.ContainerName {
			return s
		}
	}
	return nil
}

// HealthChanged reports whether the health of a pod with the runtime changed.
func HealthChanged(before, after *corev1.Pod) bool {
	return Injected(after) &&
		(!equality.Semantic.DeepEqual(Health(before), Health(after)) || Runtime(before) != Runtime(after))
}

func readyCondition(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == corev1.PodReady {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}
