// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Strip is the transform of the pod cache. Stripping twice gives the same as
// stripping once; what is not a pod passes unchanged.
func Strip(object any) (any, error) {
	p, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	stripped := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:              p.Name,
			Namespace:         p.Namespace,
			UID:               p.UID,
			ResourceVersion:   p.ResourceVersion,
			CreationTimestamp: p.CreationTimestamp,
			DeletionTimestamp: p.DeletionTimestamp,
			Labels:            p.Labels,
			OwnerReferences:   p.OwnerReferences,
		},
		Spec:   corev1.PodSpec{NodeName: p.Spec.NodeName},
		Status: corev1.PodStatus{Phase: p.Status.Phase},
	}
	for _, key := range []string{v1alpha1.AnnotationInjected, v1alpha1.AnnotationStore} {
		if value, ok := p.Annotations[key]; ok {
			if stripped.Annotations == nil {
				stripped.Annotations = make(map[string]string, 2)
			}
			stripped.Annotations[key] = value
		}
	}
	keepAuthority(stripped, p)
	stripped.Spec.InitContainers, stripped.Status.InitContainerStatuses = nativeSidecars(p)
	if s := keptRuntimeStatus(p); s != nil {
		stripped.Status.InitContainerStatuses = append(stripped.Status.InitContainerStatuses, *s)
	}
	if len(stripped.Spec.InitContainers) > 0 {
		stripped.Status.ContainerStatuses = restartedStatuses(p.Status.ContainerStatuses, func(string) bool { return true })
	}
	if c := readyCondition(p); c != nil {
		stripped.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime}}
	}
	if p.Labels[v1alpha1.LabelPreheat] != "" || waitsForNode(p) {
		keepProblem(stripped, p)
	}
	return stripped, nil
}

// waitingState keeps why a container waits, without the message.
func waitingState(s *corev1.ContainerStatus) *corev1.ContainerStateWaiting {
	if s.State.Waiting == nil {
		return nil
	}
	return &corev1.ContainerStateWaiting{Reason: s.State.Waiting.Reason}
}

// exitState keeps how and when a container ended.
func exitState(s *corev1.ContainerStateTerminated) *corev1.ContainerStateTerminated {
	if s == nil {
		return nil
	}
	return &corev1.ContainerStateTerminated{ExitCode: s.ExitCode, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt}
}

// waitsForNode reports whether a pod with the runtime has no node yet. There are
// few of them, and why is said where their data is asked for.
func waitsForNode(p *corev1.Pod) bool {
	return p.Spec.NodeName == "" && p.Status.Phase == corev1.PodPending && Injected(p)
}

// keepProblem keeps what Kubernetes says of a pod that does not run.
func keepProblem(stripped, p *corev1.Pod) {
	stripped.Status.Reason, stripped.Status.Message = p.Status.Reason, p.Status.Message
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			stripped.Status.Conditions = append(stripped.Status.Conditions,
				corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message})
		}
	}
}

// nativeSidecars returns the runtime's container and, in a pod that has it, the other
// native sidecars that restarted, with how often.
func nativeSidecars(p *corev1.Pod) ([]corev1.Container, []corev1.ContainerStatus) {
	runtime := slices.IndexFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == sidecar.ContainerName })
	if runtime < 0 {
		return nil, nil
	}
	native := func(name string) bool {
		return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name && IsNativeSidecar(&c) })
	}
	statuses := restartedStatuses(p.Status.InitContainerStatuses, func(name string) bool {
		return name != sidecar.ContainerName && native(name)
	})
	var containers []corev1.Container
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if i == runtime || slices.ContainsFunc(statuses, func(s corev1.ContainerStatus) bool { return s.Name == c.Name }) {
			containers = append(containers, corev1.Container{Name: c.Name, RestartPolicy: c.RestartPolicy})
		}
	}
	return containers, statuses
}

// keptRuntimeStatus returns what is kept of the runtime's status: nothing in the
// usual case, a pod that runs with a runtime that was never interrupted.
func keptRuntimeStatus(p *corev1.Pod) *corev1.ContainerStatus {
	s := runtimeStatus(p)
	if s == nil || interruptedRuntime(p) == nil && p.Status.Phase != corev1.PodPending {
		return nil
	}
	return &corev1.ContainerStatus{
		Name: s.Name, RestartCount: s.RestartCount, Ready: s.Ready,
		State: corev1.ContainerState{Running: s.State.Running, Waiting: waitingState(s),
			Terminated: exitState(s.State.Terminated)},
		LastTerminationState: corev1.ContainerState{Terminated: exitState(s.LastTerminationState.Terminated)},
	}
}

// restartedStatuses keeps of the containers that count those that restarted: few do.
func restartedStatuses(statuses []corev1.ContainerStatus, counts func(name string) bool) []corev1.ContainerStatus {
	var kept []corev1.ContainerStatus
	for i := range statuses {
		if s := &statuses[i]; s.RestartCount > 0 && counts(s.Name) {
			kept = append(kept, corev1.ContainerStatus{Name: s.Name, RestartCount: s.RestartCount})
		}
	}
	return kept
}

// Changed reports whether two states of a pod differ in anything that Selects,
// Injected, Finished, Live, Started and, at one time, Dies look at, or in the node. Most
// updates of a pod (its containers' states, its addresses) do not.
func Changed(before, after *corev1.Pod) bool {
	return before.UID != after.UID ||
		before.Spec.NodeName != after.Spec.NodeName ||
		Live(before) != Live(after) ||
		Finished(before) != Finished(after) ||
		Injected(before) != Injected(after) ||
		Injected(after) && (Started(before) != Started(after) || diesDiffers(before, after)) ||
		waitsForNode(after) && reasonAndMessage(before) != reasonAndMessage(after) ||
		!maps.Equal(before.Labels, after.Labels)
}

// diesDiffers reports whether Dies may differ between two states of a pod. Time alone
// changes it too, at Settles.
func diesDiffers(before, after *corev1.Pod) bool {
	var early time.Time // before any Settles
	return Settles(before) != Settles(after) || Dies(before, early) != Dies(after, early)
}

// reasonAndMessage is Problem in a form that can be compared.
func reasonAndMessage(p *corev1.Pod) [2]string {
	reason, message := Problem(p)
	return [2]string{reason, message}
}

// Problem is what Kubernetes says of a pod that failed or has no node; empty
// when it says nothing.
func Problem(p *corev1.Pod) (reason, message string) {
	if p.Status.Phase == corev1.PodFailed {
		return p.Status.Reason, p.Status.Message
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason, c.Message
		}
	}
	return "", ""
}
