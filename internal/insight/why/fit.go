// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// nodeObstacles lists what keeps the pod from a node, of what can be seen in the two
// of them alone: the scheduler also counts resources and looks at other pods.
func nodeObstacles(p *corev1.Pod, node *corev1.Node) []string {
	var found []string
	if ready := nodes.Ready(node); ready == nil || ready.Status != corev1.ConditionTrue {
		found = append(found, "not Ready")
	}
	if node.Spec.Unschedulable {
		found = append(found, "cordoned")
	}
	for i := range node.Spec.Taints {
		if taint := &node.Spec.Taints[i]; !isStandardTaint(taint) && !isTolerated(p, taint) {
			found = append(found, "taint "+taint.ToString())
		}
	}
	if !labels.SelectorFromSet(p.Spec.NodeSelector).Matches(labels.Set(node.Labels)) {
		found = append(found, "nodeSelector")
	}
	if !matchesAffinity(p, node) {
		found = append(found, "node affinity")
	}
	return found
}

// isStandardTaint reports whether Kubernetes itself sets the taint; nodeObstacles has
// described it.
func isStandardTaint(t *corev1.Taint) bool {
	return slices.Contains([]string{corev1.TaintNodeUnschedulable, corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable}, t.Key)
}

func isTolerated(p *corev1.Pod, taint *corev1.Taint) bool {
	return taint.Effect == corev1.TaintEffectPreferNoSchedule || slices.ContainsFunc(p.Spec.Tolerations, func(t corev1.Toleration) bool {
		return t.ToleratesTaint(logr.Discard(), taint, true)
	})
}

// matchesAffinity reports whether the node is one that the pod's required node affinity
// lets it run on: one term has to hold, and of that everything.
func matchesAffinity(p *corev1.Pod, node *corev1.Node) bool {
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	return slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool {
		return len(t.MatchExpressions)+len(t.MatchFields) > 0 && matchesAll(t.MatchExpressions, node.Labels) &&
			matchesAll(t.MatchFields, labels.Set{metav1.ObjectNameField: node.Name})
	})
}

var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn, corev1.NodeSelectorOpExists: selection.Exists,
	corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist, corev1.NodeSelectorOpGt: selection.GreaterThan,
	corev1.NodeSelectorOpLt: selection.LessThan,
}

func matchesAll(requirements []corev1.NodeSelectorRequirement, set labels.Set) bool {
	return !slices.ContainsFunc(requirements, func(r corev1.NodeSelectorRequirement) bool {
		requirement, err := labels.NewRequirement(r.Key, operators[r.Operator], r.Values)
		return err != nil || !requirement.Matches(set)
	})
}

// nodePreferences are those that the webhook put into the pod: terms of their form
// that the annotation names, too.
func nodePreferences(p *corev1.Pod) []Preference {
	if p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil {
		return nil
	}
	ours := strings.Split(p.Annotations[v1alpha1.AnnotationPlacement], ",")
	var found []Preference
	for _, term := range p.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		fields := term.Preference.MatchFields
		if len(fields) != 1 || fields[0].Key != metav1.ObjectNameField || len(fields[0].Values) != 1 {
			continue
		}
		node := fields[0].Values[0]
		if slices.Contains(ours, node+"="+strconv.Itoa(int(term.Weight))) {
			found = append(found, Preference{Node: node, Weight: term.Weight})
		}
	}
	slices.SortStableFunc(found, func(a, b Preference) int { return int(b.Weight) - int(a.Weight) })
	return found
}

func (p Preference) String() string { return fmt.Sprintf("%s (%d)", p.Node, p.Weight) }

// notPlaced says why data has no part in where this pod goes, whatever its
// DataSets ask for; empty: it has. Whether the pod has its node by now does not
// count.
func notPlaced(p *corev1.Pod) string {
	before := p.DeepCopy()
	before.Spec.NodeName = ""
	switch {
	case index.Applies(before):
		return ""
	case p.Labels[v1alpha1.LabelPreheat] != "":
		return "Kuda made the pod to preheat a node, and named the node itself"
	case p.Annotations[v1alpha1.AnnotationStore] == v1alpha1.StorePod:
		return "the pod has a store of its own, so it downloads wherever it runs, and what nodes hold has no part in it"
	}
	return "the pod names its nodes itself, as those of DaemonSets do, so what nodes hold has no part in it"
}
