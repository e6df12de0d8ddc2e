// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reach says of each address whether a pod can open a connection to it.
func reach(from corev1.Pod, addresses ...string) (map[string]string, error) {
	args := append([]string{"-n", from.Namespace, "exec", from.Name, "-c", "app", "--", "/e2e-app", "dial"}, addresses...)
	out, err := tryKubectl(args...)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		address, state, _ := strings.Cut(line, " ")
		states[address] = state
	}
	return states, nil
}

// hostReaches says so of this machine, which is no pod.
func hostReaches(address string) string {
	c, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return "closed"
	}
	c.Close()
	return "open"
}

// bystander is a running pod that no DataSet selects.
func bystander(t *testing.T, namespace, name string, args ...string) corev1.Pod {
	t.Helper()
	create(t, pod(namespace, name, name, args...))
	kubectl(t, "-n", namespace, "wait", "--for=condition=Ready", "--timeout=60s", "pod/"+name)
	return pods(t, namespace, name)[0]
}

// TestShippedNetworkPoliciesAdmitOnlyIntendedPeers tries every port of Kuda's pods, from a
// tenant's pod and from outside of the pods' network.
func TestShippedNetworkPoliciesAdmitOnlyIntendedPeers(t *testing.T) {
	stranger := bystander(t, newNamespace(t, nil), "stranger", "wait")
	for _, c := range []struct {
		component, port string
		pod, host       string
	}{
		{"kuda-manager", "8443", "open", "closed"},   // the gateway, for runtimes
		{"kuda-manager", "8080", "open", "closed"},   // metrics, for collectors in any namespace
		{"kuda-manager", "8081", "closed", "closed"}, // probes, for the kubelet of the pod's node
		{"kuda-webhook", "9443", "open", "open"},     // the API server may be anywhere
		{"kuda-webhook", "8080", "open", "closed"},
		{"kuda-webhook", "8081", "closed", "closed"},
	} {
		for _, p := range podsOf(t, c.component) {
			address := net.JoinHostPort(p.Status.PodIP, c.port)
			states, err := reach(stranger, address)
			if err != nil {
				t.Fatal(err)
			}
			if states[address] != c.pod {
				t.Errorf("port %s of %s is %s to a tenant's pod, want %s", c.port, c.component, states[address], c.pod)
			}
			if got := hostReaches(address); got != c.host {
				t.Errorf("port %s of %s is %s to this machine, want %s", c.port, c.component, got, c.host)
			}
		}
	}
}

// TestPoliciesHoldInTheDevelopmentCluster finds out whether a closed port above is
// closed by its policy: it is open before one comes and after it has gone, between
// pods of one node and of two.
func TestPoliciesHoldInTheDevelopmentCluster(t *testing.T) {
	ns, other := newNamespace(t, nil), newNamespace(t, nil)
	server := bystander(t, ns, "server", "serve")
	friend, foe := bystander(t, ns, "friend", "wait"), bystander(t, other, "foe", "wait")
	address := net.JoinHostPort(server.Status.PodIP, "8080")
	expect := func(friendly, hostile string) {
		t.Helper()
		eventually(t, 15*time.Second, func(context.Context) error {
			for p, want := range map[*corev1.Pod]string{&friend: friendly, &foe: hostile} {
				states, err := reach(*p, address)
				if err != nil {
					return err
				}
				if states[address] != want {
					return fmt.Errorf("to %s the port is %s, want %s", p.Name, states[address], want)
				}
			}
			return nil
		})
	}
	expect("open", "open")
	policy := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "server"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "server"}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "friend"}}}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(8080))}},
			}},
		},
	}
	create(t, policy)
	expect("open", "closed")
	out := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "friend"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "friend"}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		},
	}
	create(t, out)
	expect("closed", "closed")
	for _, p := range []*networkingv1.NetworkPolicy{policy, out} {
		if err := kube.Delete(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	expect("open", "open")
}

// TestHardenedWebhookLetsInTheAPIServerOnly closes the webhook's port to all but
// the API server's address, as deploy/hardening/webhook-network does, and shows
// that pods are injected all the same.
func TestHardenedWebhookLetsInTheAPIServerOnly(t *testing.T) {
	ns := newNamespace(t, nil)
	stranger := bystander(t, ns, "stranger", "wait")
	address := net.JoinHostPort(podsOf(t, "kuda-webhook")[0].Status.PodIP, "9443")
	become := func(from []networkingv1.NetworkPolicyPeer, state string) {
		t.Helper()
		var policy networkingv1.NetworkPolicy
		if err := kube.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "kuda-webhook"}, &policy); err != nil {
			t.Fatal(err)
		}
		policy.Spec.Ingress[0].From = from
		if err := kube.Update(t.Context(), &policy); err != nil {
			t.Fatal(err)
		}
		eventually(t, 15*time.Second, func(context.Context) error {
			states, err := reach(stranger, address)
			if err == nil && states[address] != state {
				err = fmt.Errorf("the webhook's port is %s to a tenant's pod, want %s", states[address], state)
			}
			return err
		})
	}
	become([]networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: bridgeAddress + "/32"}}}, "closed")
	defer become(nil, "open")
	store.put(t, "hardened/x.txt", []byte(delivered))
	create(t, dataSet(ns, "hardened", item("x", "hardened/x.txt", "v1")))
	create(t, pod(ns, "hardened", "hardened", "wait"))
	waitDelivered(t, dataSet(ns, "hardened"), 1, time.Minute)
}
