// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const everyPod = "10.244.0.0/16"

func pod(namespace, name, node, address string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name: "main", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080},
				{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
	}
}

func app(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

// town is two namespaces with pods on two nodes.
func town(policies ...*networkingv1.NetworkPolicy) Cluster {
	other := pod("b", "batch", "node2", "10.244.8.3")
	other.Spec.Containers[0].Ports[0].ContainerPort = 9090
	host := pod("a", "server", "node1", "10.200.0.11")
	host.Spec.HostNetwork = true
	done := pod("a", "server", "node1", "10.244.4.9")
	done.Status.Phase = corev1.PodSucceeded
	return Cluster{
		Policies: policies,
		Namespaces: []*corev1.Namespace{
			{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"team": "a"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: map[string]string{"team": "b"}}},
		},
		Pods: []*corev1.Pod{
			pod("a", "server", "node1", "10.244.4.2"), pod("a", "client", "node2", "10.244.8.2"), other,
			pod("b", "server", "node1", "10.244.4.3"), host, done, pod("a", "new", "node1", ""),
		},
		PodCIDR: everyPod,
	}
}

func ingressPolicy(rules ...networkingv1.NetworkPolicyIngressRule) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "server"},
		Spec: networkingv1.NetworkPolicySpec{PodSelector: *app("server"),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, Ingress: rules},
	}
}

func egressPolicy(rules ...networkingv1.NetworkPolicyEgressRule) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "server"},
		Spec: networkingv1.NetworkPolicySpec{PodSelector: *app("server"),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}, Egress: rules},
	}
}

func rulesOf(t *testing.T, c Cluster, node string) string {
	t.Helper()
	rules, err := Rules(c, node)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// chainOf returns the lines of a chain, less the first and the last.
func chainOf(rules, name string) []string {
	_, rest, found := strings.Cut(rules, "\tchain "+name+" {")
	if !found {
		return nil
	}
	body, _, _ := strings.Cut(rest, "\n\t}")
	var lines []string
	for _, line := range strings.Split(body, "\n")[1:] {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

func TestOnlySelectedPodsOfTheNodeAreRestricted(t *testing.T) {
	c := town(ingressPolicy())
	if rules := rulesOf(t, c, "node1"); !strings.Contains(rules, "\t\tip daddr vmap { 10.244.4.2 : jump to_10_244_4_2 }\n") {
		t.Errorf("not exactly the selected pod is restricted:\n%s", rules)
	}
	for what, rules := range map[string]string{"no policy": rulesOf(t, town(), "node1"), "another node": rulesOf(t, c, "node2")} {
		if strings.Contains(rules, "vmap") || !strings.Contains(rules, "delete table ip "+Table) {
			t.Errorf("%s: the table is to be replaced by one without restrictions:\n%s", what, rules)
		}
	}
}

func TestEachFormOfIngressRuleIsTranslated(t *testing.T) {
	tcp, udp := corev1.ProtocolTCP, corev1.ProtocolUDP
	port := func(v intstr.IntOrString) networkingv1.NetworkPolicyPort {
		return networkingv1.NetworkPolicyPort{Port: &v}
	}
	web := port(intstr.FromString("web"))
	end := int32(9000)
	for name, c := range map[string]struct {
		rule networkingv1.NetworkPolicyIngressRule
		want []string
	}{
		"anyone": {networkingv1.NetworkPolicyIngressRule{}, []string{"return"}},
		"a named port, for anyone": {networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{web}},
			[]string{"tcp dport 8080 return"}},
		"a named port of another protocol": {networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{
			{Port: new(intstr.FromString("dns"))}, {Protocol: &udp, Port: new(intstr.FromString("dns"))}}},
			[]string{"udp dport 53 return"}},
		"a range, and a protocol": {networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{
			{Port: new(intstr.FromInt32(8000)), EndPort: &end}, {Protocol: &tcp}}},
			[]string{"meta l4proto tcp return", "tcp dport 8000-9000 return"}},
		"every pod": {networkingv1.NetworkPolicyIngressRule{
			From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}},
			Ports: []networkingv1.NetworkPolicyPort{web}},
			[]string{"ip saddr 10.244.0.0/16 tcp dport 8080 return"}},
		"pods of the namespace": {networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}},
			[]string{"ip saddr { 10.244.4.2, 10.244.8.2 } return"}},
		"some pods of another namespace": {networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{{PodSelector: app("server"),
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}}}}},
			[]string{"ip saddr { 10.244.4.3 } return"}},
		"no pod that exists": {networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{{PodSelector: app("absent")}}}, nil},
		"a network less a part": {networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.200.0.0/24", Except: []string{"10.200.0.8/32"}}},
				{IPBlock: &networkingv1.IPBlock{CIDR: "fd00::/8"}}}},
			[]string{"ip saddr 10.200.0.0/24 ip saddr != 10.200.0.8/32 return"}},
	} {
		got := chainOf(rulesOf(t, town(ingressPolicy(c.rule)), "node1"), "to_10_244_4_2")
		want := append(append([]string{"ip saddr 10.244.4.2 return"}, c.want...), "drop")
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
	}
}

func TestNamedPortOfEgressIsThePeersOwn(t *testing.T) {
	rules := rulesOf(t, town(egressPolicy(networkingv1.NetworkPolicyEgressRule{
		To:    []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}}}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromString("web"))}},
	})), "node1")
	want := []string{"ip daddr 10.244.4.2 return", "ip daddr 10.244.4.3 tcp dport 8080 return",
		"ip daddr 10.244.8.3 tcp dport 9090 return", "drop"}
	if d := cmp.Diff(want, chainOf(rules, "from_10_244_4_2")); d != "" {
		t.Error(d)
	}
	if strings.Contains(rules, "to_") {
		t.Errorf("a policy of egress restricts ingress:\n%s", rules)
	}
}

func TestPoliciesOfOnePodAddUp(t *testing.T) {
	closed := ingressPolicy()
	closed.Spec.PodSelector = metav1.LabelSelector{}
	open := ingressPolicy(networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{PodSelector: app("client")}}})
	want := []string{"ip saddr 10.244.4.2 return", "ip saddr { 10.244.8.2 } return", "drop"}
	if d := cmp.Diff(want, chainOf(rulesOf(t, town(closed, open), "node1"), "to_10_244_4_2")); d != "" {
		t.Error(d)
	}
}

func TestOrderOfObjectsDoesNotChangeTheRules(t *testing.T) {
	c := town(ingressPolicy(networkingv1.NetworkPolicyIngressRule{
		From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}), egressPolicy())
	first := rulesOf(t, c, "node1")
	for i, j := 0, len(c.Pods)-1; i < j; i, j = i+1, j-1 {
		c.Pods[i], c.Pods[j] = c.Pods[j], c.Pods[i]
	}
	if d := cmp.Diff(first, rulesOf(t, c, "node1")); d != "" {
		t.Error(d)
	}
}

func TestSelectorThatCannotBeReadIsAnError(t *testing.T) {
	broken := ingressPolicy()
	broken.Spec.PodSelector = metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}}
	if _, err := Rules(town(broken), "node1"); err == nil || !strings.Contains(err.Error(), "a/server") {
		t.Errorf("err = %v, want one that names the policy", err)
	}
}
