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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func matches(selector *metav1.LabelSelector, of map[string]string) (bool, error) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, err
	}
	return s.Matches(labels.Set(of)), nil
}

// peers are whom a rule allows: as matches, one of which must hold, and those of
// them that are pods.
type peers struct {
	matches []string
	pods    []*corev1.Pod
}

// peersOf returns the peers that a rule of a policy in a namespace lists; without a
// list all are allowed.
func (c Cluster) peersOf(namespace string, d direction, list []networkingv1.NetworkPolicyPeer) (peers, error) {
	if len(list) == 0 {
		return peers{matches: []string{""}, pods: c.addressed()}, nil
	}
	var found peers
	for _, peer := range list {
		if peer.IPBlock != nil {
			match, err := blockMatch(d, peer.IPBlock)
			if err != nil {
				return peers{}, err
			}
			if match != "" {
				found.matches = append(found.matches, match)
			}
			continue
		}
		selected, err := c.selectedPods(namespace, peer)
		if err != nil {
			return peers{}, err
		}
		found.pods = append(found.pods, selected...)
		switch {
		case isEveryPod(peer):
			// A new pod's address is in its status some time after the pod has begun
			// to use it; of all pods the network is known before.
			found.matches = append(found.matches, d.peer+" "+c.PodCIDR)
		case len(selected) > 0:
			found.matches = append(found.matches, fmt.Sprintf("%s { %s }", d.peer, strings.Join(addresses(selected), ", ")))
		}
	}
	return found, nil
}

func isEveryPod(peer networkingv1.NetworkPolicyPeer) bool {
	empty := func(s *metav1.LabelSelector) bool { return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0 }
	return peer.NamespaceSelector != nil && empty(peer.NamespaceSelector) && (peer.PodSelector == nil || empty(peer.PodSelector))
}

func blockMatch(d direction, b *networkingv1.IPBlock) (string, error) {
	prefix, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return "", err
	}
	if !prefix.Addr().Is4() {
		return "", nil // no such traffic
	}
	match := []string{d.peer + " " + prefix.Masked().String()}
	for _, except := range b.Except {
		prefix, err := netip.ParsePrefix(except)
		if err != nil {
			return "", err
		}
		match = append(match, d.peer+" != "+prefix.Masked().String())
	}
	return strings.Join(match, " "), nil
}

func (c Cluster) addressed() []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(c.Pods), func(p *corev1.Pod) bool {
		return !hasAddress(p)
	})
}

// selectedPods returns the pods that a peer means; without a selector of
// namespaces those of the policy's own.
func (c Cluster) selectedPods(namespace string, peer networkingv1.NetworkPolicyPeer) ([]*corev1.Pod, error) {
	in := map[string]bool{namespace: true}
	if peer.NamespaceSelector != nil {
		in = map[string]bool{}
		for _, ns := range c.Namespaces {
			ok, err := matches(peer.NamespaceSelector, ns.Labels)
			if err != nil {
				return nil, err
			}
			in[ns.Name] = ok
		}
	}
	var selected []*corev1.Pod
	for _, p := range c.addressed() {
		ok := in[p.Namespace]
		if ok && peer.PodSelector != nil {
			var err error
			if ok, err = matches(peer.PodSelector, p.Labels); err != nil {
				return nil, err
			}
		}
		if ok {
			selected = append(selected, p)
		}
	}
	return selected, nil
}

// addresses are sorted and each there once: nftables takes no element twice.
func addresses(pods []*corev1.Pod) []string {
	var all []string
	for _, p := range pods {
		all = append(all, p.Status.PodIP)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func isNamed(p networkingv1.NetworkPolicyPort) bool {
	return p.Port != nil && p.Port.Type == intstr.String
}

// portMatch returns the match of a port of the pod that listens on it; ok is false
// when the pod has no port of that name.
func portMatch(p networkingv1.NetworkPolicyPort, listener *corev1.Pod) (match string, ok bool) {
	protocol := corev1.ProtocolTCP
	if p.Protocol != nil {
		protocol = *p.Protocol
	}
	l4 := strings.ToLower(string(protocol))
	switch {
	case p.Port == nil:
		return "meta l4proto " + l4, true
	case isNamed(p):
		number, ok := namedPort(listener, p.Port.StrVal, protocol)
		return fmt.Sprintf("%s dport %d", l4, number), ok
	case p.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d", l4, p.Port.IntVal, *p.EndPort), true
	}
	return fmt.Sprintf("%s dport %d", l4, p.Port.IntVal), true
}

// namedPort looks in the containers that may listen while others run: those of the
// application, and sidecars.
func namedPort(p *corev1.Pod, name string, protocol corev1.Protocol) (int32, bool) {
	for _, c := range slices.Concat(p.Spec.Containers, p.Spec.InitContainers) {
		for _, port := range c.Ports {
			if port.Name == name && (port.Protocol == protocol || (port.Protocol == "" && protocol == corev1.ProtocolTCP)) {
				return port.ContainerPort, true
			}
		}
	}
	return 0, false
}
