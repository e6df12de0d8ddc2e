// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func node(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{corev1.LabelTopologyZone: "east"}},
		Status: corev1.NodeStatus{
			NodeInfo:   corev1.NodeSystemInfo{BootID: "boot-" + name},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(24 * time.Hour)}},
		},
	}
	for _, c := range change {
		c(n)
	}
	return n
}

func aPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{}},
		Spec:   corev1.PodSpec{SchedulerName: corev1.DefaultSchedulerName},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func pinned(p *corev1.Pod, node string) {
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}}},
	}}}
}

func cordoned(n *corev1.Node) { n.Spec.Unschedulable = true }

func TestObstaclesOfANodeAreFound(t *testing.T) {
	expression := func(key string, operator corev1.NodeSelectorOperator, values ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
					NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key,
						Operator: operator, Values: values}}}},
				}}}
		}
	}
	tainted := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "gpu", Value: "yes", Effect: corev1.TaintEffectNoSchedule}}
	}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		node *corev1.Node
		want string
	}{
		"nothing":   {aPod("p"), node("n1"), ""},
		"not Ready": {aPod("p"), node("n1", func(n *corev1.Node) { n.Status.Conditions = nil }), "not Ready"},
		"cordoned": {aPod("p"), node("n1", cordoned, func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}}
		}), "cordoned"},
		"tainted": {aPod("p"), node("n1", tainted), "taint gpu=yes:NoSchedule"},
		"tolerated": {aPod("p", func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
		}), node("n1", tainted), ""},
		"selector":     {aPod("p", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }), node("n1"), "nodeSelector"},
		"the zone":     {aPod("p", expression(corev1.LabelTopologyZone, corev1.NodeSelectorOpIn, "east")), node("n1"), ""},
		"another zone": {aPod("p", expression(corev1.LabelTopologyZone, corev1.NodeSelectorOpNotIn, "east")), node("n1"), "node affinity"},
		"not a number": {aPod("p", expression(corev1.LabelTopologyZone, corev1.NodeSelectorOpGt, "x")), node("n1"), "node affinity"},
		"by its name":  {aPod("p", func(p *corev1.Pod) { pinned(p, "n1") }), node("n1"), ""},
		"another name": {aPod("p", func(p *corev1.Pod) { pinned(p, "n2") }), node("n1"), "node affinity"},
		"an empty term": {aPod("p", func(p *corev1.Pod) {
			pinned(p, "")
			p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields = nil
		}), node("n1"), "node affinity"},
	} {
		if got := strings.Join(nodeObstacles(c.pod, c.node), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
