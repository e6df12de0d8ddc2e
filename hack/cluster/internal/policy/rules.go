// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Table is the name of the nftables table, of the family ip.
const Table = "kuda_policy"

// Cluster is what the API server says of policies and of whom they are about.
type Cluster struct {
	Policies   []*networkingv1.NetworkPolicy
	Namespaces []*corev1.Namespace
	Pods       []*corev1.Pod
	// PodCIDR covers the addresses of all pods.
	PodCIDR string
}

// Rules returns the nftables commands that replace the table with what the
// policies say for the pods of a node. The same cluster gives the same text.
func Rules(c Cluster, node string) (string, error) {
	var local []*corev1.Pod
	for _, p := range c.Pods {
		if hasAddress(p) && p.Spec.NodeName == node {
			local = append(local, p)
		}
	}
	slices.SortFunc(local, func(a, b *corev1.Pod) int { return strings.Compare(a.Status.PodIP, b.Status.PodIP) })

	var chains strings.Builder
	var jumps []string
	for _, d := range []direction{egress, ingress} {
		var elements []string
		for _, p := range local {
			rules, isolated, err := c.podRules(p, d)
			if err != nil {
				return "", err
			}
			if !isolated {
				continue
			}
			name := d.chain + strings.ReplaceAll(p.Status.PodIP, ".", "_")
			elements = append(elements, p.Status.PodIP+" : jump "+name)
			fmt.Fprintf(&chains, "\tchain %s { # %s/%s\n", name, p.Namespace, p.Name)
			// A pod reaches itself, by whatever address.
			for _, rule := range slices.Concat([]string{d.peer + " " + p.Status.PodIP}, rules) {
				fmt.Fprintf(&chains, "\t\t%s return\n", rule)
			}
			chains.WriteString("\t\tdrop\n\t}\n")
		}
		if len(elements) > 0 {
			jumps = append(jumps, fmt.Sprintf("\t\t%s vmap { %s }\n", d.self, strings.Join(elements, ", ")))
		}
	}
	// Created and deleted first, so that it is replaced whether it is there or not.
	return fmt.Sprintf("table ip %[1]s\ndelete table ip %[1]s\ntable ip %[1]s {\n\tchain forward {\n"+
		"\t\ttype filter hook forward priority filter; policy accept;\n\t\tct state established,related accept\n%[2]s\t}\n%[3]s}\n",
		Table, strings.Join(jumps, ""), chains.String()), nil
}

// direction is how one direction is written in nftables.
type direction struct {
	policyType networkingv1.PolicyType
	chain      string
	self, peer string
}

var (
	ingress = direction{networkingv1.PolicyTypeIngress, "to_", "ip daddr", "ip saddr"}
	egress  = direction{networkingv1.PolicyTypeEgress, "from_", "ip saddr", "ip daddr"}
)

// podRules returns matches of what a pod's policies allow in one direction, and
// whether there is such a policy at all.
func (c Cluster) podRules(p *corev1.Pod, d direction) (rules []string, isolated bool, err error) {
	for _, policy := range c.Policies {
		if policy.Namespace != p.Namespace || !slices.Contains(policy.Spec.PolicyTypes, d.policyType) {
			continue
		}
		selected, err := matches(&policy.Spec.PodSelector, p.Labels)
		if err != nil {
			return nil, false, fmt.Errorf("reading NetworkPolicy %s/%s: %w", policy.Namespace, policy.Name, err)
		}
		if !selected {
			continue
		}
		isolated = true
		for _, allowed := range allowances(policy, d) {
			more, err := c.allowance(policy.Namespace, p, d, allowed)
			if err != nil {
				return nil, false, fmt.Errorf("reading NetworkPolicy %s/%s: %w", policy.Namespace, policy.Name, err)
			}
			rules = append(rules, more...)
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules), isolated, nil
}

// allowed is one rule of a policy: the same for both directions.
type allowed struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func allowances(p *networkingv1.NetworkPolicy, d direction) []allowed {
	var all []allowed
	if d == ingress {
		for _, r := range p.Spec.Ingress {
			all = append(all, allowed{r.From, r.Ports})
		}
		return all
	}
	for _, r := range p.Spec.Egress {
		all = append(all, allowed{r.To, r.Ports})
	}
	return all
}

// allowance returns the matches of one rule of a policy: each of its ports with
// each of its peers.
func (c Cluster) allowance(namespace string, p *corev1.Pod, d direction, a allowed) ([]string, error) {
	peers, err := c.peersOf(namespace, d, a.peers)
	if err != nil {
		return nil, err
	}
	if len(a.ports) == 0 {
		return peers.matches, nil
	}
	var rules []string
	for _, port := range a.ports {
		if d == egress && isNamed(port) {
			// What the name stands for is each peer's own.
			for _, peer := range peers.pods {
				if match, ok := portMatch(port, peer); ok {
					rules = append(rules, d.peer+" "+peer.Status.PodIP+" "+match)
				}
			}
			continue
		}
		match, ok := portMatch(port, p)
		if !ok {
			continue
		}
		for _, peer := range peers.matches {
			rules = append(rules, strings.TrimSpace(peer+" "+match))
		}
	}
	return rules, nil
}

// hasAddress reports whether a pod has an address of its own on the pods' network:
// the node's, which pods on the host's network have, is not.
func hasAddress(p *corev1.Pod) bool {
	ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	if p.Spec.HostNetwork || ended {
		return false
	}
	a, err := netip.ParseAddr(p.Status.PodIP)
	return err == nil && a.Is4()
}
