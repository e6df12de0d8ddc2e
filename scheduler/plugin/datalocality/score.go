// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// PreScore counts the pods of the same DataSets on the nodes that hold the data.
// It skips Score when no node has any of it, and for data that is too small to
// matter. The nodes that PreFilter named are few, and scored one by one.
func (p *Plugin) PreScore(_ context.Context, cycle fwk.CycleState, pod *corev1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	s := stateOf(cycle)
	if s == nil || s.Negligible() {
		return fwk.NewStatus(fwk.Skip)
	}
	if p.args.Weights.Spread > 0 {
		s.group, s.most = p.spread.countPods(p.handle.SnapshotSharedLister().NodeInfos(), pod.Namespace, s)
	}
	if !s.namesNodes() {
		p.scored.Store(p.prepareScores(cycle, s))
	}
	return nil
}

// modesty is how much less the data counts for a pod with preferences of its own:
// so much less that with the installed weight they win, and the data decides
// between nodes that they leave equal.
const modesty = 5

// shareOf looks at the pod's own preferred node affinity; the terms that the webhook
// added are named by an annotation.
func shareOf(pod *corev1.Pod) int64 {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil ||
		len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) <= strings.Count(pod.Annotations[v1alpha1.AnnotationPlacement], "=") {
		return 1
	}
	return modesty
}

// scored is what Score needs of a cycle, found once for all nodes.
type scored struct {
	cycle fwk.CycleState
	*state
	*scoreCache
	// few are the scores of the nodes in rows, unless there are many. A look into a
	// small map by an address is what keeps Score cheap: there are thousands of
	// nodes, and what belongs to each is seldom in the processor's caches.
	few map[*corev1.Node]int64
}

func (p *Plugin) prepareScores(cycle fwk.CycleState, s *state) *scored {
	prepared := &scored{cycle: cycle, state: s, scoreCache: p.places.cachedScores(s.answer, p.args.Weights)}
	if len(prepared.rows) > maxFew {
		return prepared
	}
	nodes := p.handle.SnapshotSharedLister().NodeInfos()
	prepared.few = make(map[*corev1.Node]int64, len(prepared.rows))
	for name, r := range prepared.rows {
		node, err := nodes.Get(name)
		if err != nil {
			continue // The scheduler does not know it yet, or no longer.
		}
		score := r.score / s.share
		if r.holder {
			score = p.scoreNode(s, name)
		}
		prepared.few[node.Node()] = score
	}
	return prepared
}

// Score is the worth of a node, from 0 to 100. It allocates nothing.
func (p *Plugin) Score(_ context.Context, cycle fwk.CycleState, _ *corev1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	n := node.Node()
	s := p.scored.Load()
	if s == nil || s.cycle != cycle {
		// The nodes are few, or some other cycle's are scored, too.
		return p.scoreNode(stateOf(cycle), n.Name), nil
	}
	if s.few != nil {
		if score, ok := s.few[n]; ok {
			return score, nil
		}
		return s.rest / s.share, nil
	}
	switch row, ok := s.rows[n.Name]; {
	case !ok:
		return s.rest / s.share, nil
	case row.holder:
		return p.scoreNode(s.state, n.Name), nil
	default:
		return row.score / s.share, nil
	}
}

// scoreNode is that of a node with its pods.
func (p *Plugin) scoreNode(s *state, node string) int64 {
	if s == nil {
		return 0
	}
	at := p.places.get(node)
	facts := s.Facts(node, at.rack, at.zone)
	if s.group != nil && facts.Held > 0 {
		facts.Pods, facts.MostPods = s.group.nodes[node].pods, s.most
	}
	return index.Score(facts, p.args.Weights) / s.share
}

// ScoreExtensions are none: a score says how much of the data there is, and is
// not to be stretched where no node has much of it.
func (p *Plugin) ScoreExtensions() fwk.ScoreExtensions { return nil }
