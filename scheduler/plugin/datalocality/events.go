// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// EventsToRegister are what the scheduler itself sees that can help a pod that
// the plugin rejected. Changes of data wake pods otherwise (see waiting).
func (p *Plugin) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodLabel}, QueueingHintFn: p.afterLabels},
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add}, QueueingHintFn: p.afterNode},
	}, nil
}

// afterLabels: other DataSets may select the pod now.
func (p *Plugin) afterLabels(klog.Logger, *corev1.Pod, any, any) (fwk.QueueingHint, error) {
	return fwk.Queue, nil
}

// afterNode: a new node counts as having room, and no data.
func (p *Plugin) afterNode(_ klog.Logger, pod *corev1.Pod, _, object any) (fwk.QueueingHint, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return fwk.Queue, fmt.Errorf("looking at a node that came: it is a %T", object)
	}
	s := p.computeState(context.Background(), pod)
	if s == nil || s.allowsNode(node.Name) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}
