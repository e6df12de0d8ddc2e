// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// guest is what a pod without rules asks of a node.
type guest struct {
	requests    *framework.Resource
	tolerations []corev1.Toleration
}

// guestOf counts requests as the plugin NodeResourcesFit does.
func guestOf(pod *corev1.Pod) guest {
	return guest{requests: framework.NewResource(resource.PodRequests(pod, resource.PodResourcesOptions{})), tolerations: pod.Spec.Tolerations}
}

// usesStandardOnly reports whether the pod asks for nothing but what every node has.
func (g guest) usesStandardOnly() bool { return len(g.requests.ScalarResources) == 0 }

// surelyFits reports whether the node surely takes the pod, and has nothing against it
// that the scheduler would count. False may mean that it is not sure.
func (g guest) surelyFits(log klog.Logger, node fwk.NodeInfo) bool {
	spec := &node.Node().Spec
	return !spec.Unschedulable && g.fitsNode(node) && !slices.ContainsFunc(spec.Taints, func(t corev1.Taint) bool {
		return !corev1helpers.TolerationsTolerateTaint(log, g.tolerations, &t, true)
	})
}

func (g guest) fitsNode(node fwk.NodeInfo) bool {
	all, used := node.GetAllocatable(), node.GetRequested()
	return len(node.GetPods()) < all.GetAllowedPodNumber() &&
		hasRoom(g.requests.MilliCPU, all.GetMilliCPU(), used.GetMilliCPU()) &&
		hasRoom(g.requests.Memory, all.GetMemory(), used.GetMemory()) &&
		hasRoom(g.requests.EphemeralStorage, all.GetEphemeralStorage(), used.GetEphemeralStorage())
}

// hasRoom reports whether a request fits. A resource that is not requested may be used
// up, or overused.
func hasRoom(requested, all, used int64) bool { return requested == 0 || requested <= all-used }
