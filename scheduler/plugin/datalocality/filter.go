// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// These are, like the other reason, the same for all nodes, so that the scheduler
// adds them up.
const (
	notThere    = "node(s) did not hold the data that the pod's DataSets require"
	notLookedAt = "node(s) were not looked at because others hold the pod's data and had room"
)

// Filter rejects a node that lacks what is required, or room for what is missing.
// The scheduler asks it also of nodes beyond those that PreFilter named: one that
// a preemption or an equal pod led to. A limited attempt evicts no pods: only an
// attempt that has looked at all nodes does.
func (p *Plugin) Filter(_ context.Context, cycle fwk.CycleState, _ *corev1.Pod, node fwk.NodeInfo) *fwk.Status {
	s := stateOf(cycle)
	if s == nil {
		return nil
	}
	switch name := node.Node().Name; {
	case s.supposed, s.limited && !s.near.Has(name):
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, notLookedAt)
	case s.full != nil && !s.full.Has(name):
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, notThere)
	case s.withoutRoom.Has(name):
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, s.noRoom)
	}
	return nil
}
