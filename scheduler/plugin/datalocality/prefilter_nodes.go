// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"github.com/kuda-io/kuda/internal/placement/index"
)

// canLimitNodes reports whether the pod can do with the nodes near its data: one that has
// all of it surely takes the pod, and nothing but the data and the use of the nodes
// decides where it goes. The scheduler then filters and scores these alone, which in
// a large cluster saves nearly all of the work.
func (p *Plugin) canLimitNodes(cycle fwk.CycleState, pod *corev1.Pod, s *state) bool {
	if s.full != nil || len(s.whole) == 0 || s.Negligible() || !p.outweighs() ||
		cycle.IsPodGroupSchedulingCycle() || constrainsNodes(pod) || otherPluginsRestrict(cycle) || attemptFailed(pod) ||
		p.attempts.has(pod.UID) {
		return false
	}
	g := guestOf(pod)
	if !g.usesStandardOnly() {
		return false
	}
	nodes := p.handle.SnapshotSharedLister().NodeInfos()
	for _, name := range s.whole {
		// Room that is kept for a pod is not sure for another.
		if node, err := nodes.Get(name); err == nil && g.surelyFits(p.log, node) && len(p.handle.NominatedPodsForNode(name)) == 0 {
			return true
		}
	}
	return false
}

// recordAttempt records a pod whose attempt looks at some nodes only. If the attempt
// fails, the pod comes back at once, as one that was activated while it was tried, and the
// next attempt looks at all nodes.
func (p *Plugin) recordAttempt(pod *corev1.Pod) {
	p.attempts.put(pod.UID)
	p.handle.Activate(p.log, map[string]*corev1.Pod{pod.Namespace + "/" + pod.Name: pod})
}

// profile is what a framework says of its plugins; a handle is a framework.
type profile interface {
	ListPlugins() *schedulerconfig.Plugins
}

// dataOutweighs reports whether with these weights all of the data outweighs any one of the
// other scores, as it does with the installed ones. Where it does not, the scores are
// configured to decide.
func dataOutweighs(h fwk.Handle, w index.Weights) bool {
	f, ok := h.(profile)
	if !ok || len(h.Extenders()) > 0 {
		return false
	}
	var own, other int64
	for _, plugin := range f.ListPlugins().Score.Enabled {
		switch plugin.Name {
		case Name:
			own = int64(plugin.Weight)
		case names.TaintToleration:
			// To it no node is better than one without a taint that matters.
		default:
			other = max(other, int64(plugin.Weight))
		}
	}
	return own*(leastWhole(w)-mostWithout(w)) >= other*index.MaxScore
}

// leastWhole is what a node with all of the data is worth, however it is otherwise.
func leastWhole(w index.Weights) int64 {
	return index.Score(index.Facts{Total: 1, Held: 1, Downloads: math.MaxInt32, Pods: 1, MostPods: 1}, w)
}

// mostWithout is what the best node without any is worth.
func mostWithout(w index.Weights) int64 {
	return index.Score(index.Facts{Total: 1, Rack: 1, Zone: 1}, w)
}
