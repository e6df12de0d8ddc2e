// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	schedutil "k8s.io/kubernetes/pkg/scheduler/util"
)

// constrainsNodes reports whether the pod says itself where it may run or would rather run, in
// any way but by what it requests and tolerates. What the webhook added is not the
// pod's.
func constrainsNodes(pod *corev1.Pod) bool {
	spec := &pod.Spec
	if len(spec.NodeSelector) > 0 || len(spec.TopologySpreadConstraints) > 0 || len(spec.ResourceClaims) > 0 ||
		spec.SchedulingGroup != nil || pod.Status.NominatedNodeName != "" {
		return true
	}
	if a := spec.Affinity; a != nil {
		if a.PodAffinity != nil || a.PodAntiAffinity != nil || shareOf(pod) != 1 ||
			a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
			return true
		}
	}
	return slices.ContainsFunc(spec.Volumes, isNodeBound) || len(schedutil.GetHostPorts(pod)) > 0
}

// isNodeBound reports whether not every node can have the volume, or not for every pod. A
// kind that is not known here may be such a one.
func isNodeBound(v corev1.Volume) bool {
	return v.EmptyDir == nil && v.HostPath == nil && v.ConfigMap == nil && v.Secret == nil && v.DownwardAPI == nil && v.Projected == nil
}

// judges are what other plugins write in their PreFilter when they have something
// to say of the pod that does not stand in it: rules of other pods, constraints and
// affinity of the profile, features that nodes must declare. They run before this
// one as it is installed; ran they after it, what they say would come out in Filter.
var judges = []fwk.StateKey{
	"PreFilter" + names.InterPodAffinity, "PreFilter" + names.PodTopologySpread, "PreFilter" + names.NodeAffinity,
	"PreFilter" + names.NodeDeclaredFeatures,
}

func otherPluginsRestrict(cycle fwk.CycleState) bool {
	return slices.ContainsFunc(judges, func(key fwk.StateKey) bool {
		_, err := cycle.Read(key)
		return err == nil
	})
}

// attemptFailed reports whether an attempt to place the pod has failed. One that had gates
// was not attempted.
func attemptFailed(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason != corev1.PodReasonSchedulingGated
	})
}
