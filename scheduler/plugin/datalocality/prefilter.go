// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// stateKey is where a cycle keeps its state.
const stateKey fwk.StateKey = Name

// state is what one cycle knows of its pod.
type state struct {
	*answer
	dataSets []*v1alpha1.DataSet
	// group counts the pods of the same DataSets on holders; most is that of the
	// holder with the most. Set by PreScore.
	group *group
	most  int
	// share divides the scores: 1, or modesty.
	share int64
	// noRoom is what is said of a node that lacks it.
	noRoom string
	// limited: the attempt looks at the near nodes only. supposed: at nodes as they
	// would be if pods came or went.
	limited, supposed bool
}

// Clone is the state itself: no pod that is added or removed changes it. But a
// limited attempt knows that it is not about the nodes as they are.
func (s *state) Clone() fwk.StateData {
	if !s.limited {
		return s
	}
	c := *s
	c.supposed = true
	return &c
}

// namesNodes reports whether PreFilter named the nodes that are looked at.
func (s *state) namesNodes() bool { return s.limited || s.full != nil }

// PreFilter finds what the pod wants and who has it. It skips Filter when every
// node is good enough, and limits the nodes to the holders of what is required, or
// of what is preferred when they will do.
func (p *Plugin) PreFilter(ctx context.Context, cycle fwk.CycleState, pod *corev1.Pod,
	_ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	p.waitForCaches(ctx)
	s := p.evaluatePod(ctx, pod)
	if s == nil {
		p.waiting.removePod(pod.UID)
		return nil, fwk.NewStatus(fwk.Skip)
	}
	cycle.Write(stateKey, s)
	if p.canLimitNodes(cycle, pod, s) {
		s.limited = true
		p.recordAttempt(pod)
		return &fwk.PreFilterResult{NodeNames: s.near}, nil
	}
	if !s.restrictsNodes() {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	if s.full == nil {
		return nil, nil
	}
	if len(s.full) == 0 {
		// What preemption takes away brings no data.
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, describeMissing(s.Demand))
	}
	return &fwk.PreFilterResult{NodeNames: s.full}, nil
}

// PreFilterExtensions are none: other pods do not change what nodes hold.
func (p *Plugin) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// waitForCaches waits until the caches are filled: at the start of the scheduler only,
// and not for long.
func (p *Plugin) waitForCaches(ctx context.Context) {
	select {
	case <-p.ready:
	case <-ctx.Done():
	}
}

// evaluatePod returns nil when no data has a bearing on where the pod goes. A pod that
// some nodes are not good enough for is woken when that changes, from now on.
func (p *Plugin) evaluatePod(ctx context.Context, pod *corev1.Pod) *state {
	unseen := p.unseenDataSets(ctx, pod)
	for {
		s := p.computeState(ctx, pod, unseen...)
		if s == nil {
			return nil
		}
		if !s.restrictsNodes() {
			p.waiting.removePod(pod.UID)
			return s
		}
		p.waiting.putPod(pod, s.Demand)
		// A change before the pod was put there has not woken the pod.
		if again := p.computeState(ctx, pod, unseen...); again != nil && again.Demand == s.Demand {
			return s
		}
	}
}

// computeState looks into the caches alone, and at what is unseen besides. The scheduler also
// has it called while its queue is locked (SignPod, hints).
func (p *Plugin) computeState(ctx context.Context, pod *corev1.Pod, unseen ...*v1alpha1.DataSet) *state {
	if !index.Applies(pod) || pod.Labels[v1alpha1.LabelInjection] == v1alpha1.InjectionDisabled {
		return nil
	}
	dataSets, wants, err := p.catalog.wantsOf(ctx, pod, unseen...)
	if err != nil {
		// The pod could not be delivered to either; where it waits is all the same.
		p.log.Error(err, "could not tell what data the pod wants; placed it without", "pod", klog.KObj(pod))
		return nil
	}
	if len(wants) == 0 {
		return nil
	}
	return &state{
		answer: p.answers.get(p.index.Demand(pod.Namespace, wants)), dataSets: dataSets,
		share: shareOf(pod), noRoom: "node(s) lacked room for the pod's data in the store of namespace " + pod.Namespace,
	}
}

// stateOf is nil where PreFilter found nothing.
func stateOf(cycle fwk.CycleState) *state {
	data, err := cycle.Read(stateKey)
	if err != nil {
		return nil
	}
	s, _ := data.(*state)
	return s
}
