// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

const (
	// Bridge is the host's switch; every node has one cable to it.
	Bridge = "kuda0"
	// BridgeAddress is the host as nodes and pods see it.
	BridgeAddress = "10.200.0.1"
	// BridgePrefix is the network of the host and the nodes.
	BridgePrefix = "10.200.0.0/24"
	// PodCIDR covers the pods of all nodes.
	PodCIDR = "10.244.0.0/16"
	// ServiceCIDR covers the cluster addresses of Services.
	ServiceCIDR = "10.96.0.0/16"
	// APIServiceAddress is the first address of ServiceCIDR, which the API
	// server takes for the Service "kubernetes".
	APIServiceAddress = "10.96.0.1"
	// DNSServiceAddress is the cluster address of kube-dns.
	DNSServiceAddress = "10.96.0.10"
	// Domain is the cluster's DNS domain.
	Domain = "cluster.local"

	// APIPort is where the API server listens on BridgeAddress.
	APIPort = 6443
	// EtcdClientPort is on loopback only, and not etcd's usual one, so that an
	// etcd of the machine's own is not in the way.
	EtcdClientPort = 12379
	// EtcdPeerPort is as private.
	EtcdPeerPort = 12380
	// ControllerManagerPort is on loopback only.
	ControllerManagerPort = 10257
	// SchedulerPort is on loopback only.
	SchedulerPort = 10259

	// ControlPlaneCgroup holds etcd and the Kubernetes servers of the host.
	ControlPlaneCgroup = "kuda-control"
	// MinioCgroup holds the MinIO server.
	MinioCgroup = "kuda-minio"

	// MaxNodes is bounded by the /22 networks that fit into PodCIDR, less the
	// first, which stays empty so that node N starts at 10.244.(4N).0.
	MaxNodes = 63

	podPrefixBits = 22
)

var (
	ownNetns  = regexp.MustCompile(`^kuda-node[1-9][0-9]*$`)
	ownCgroup = regexp.MustCompile(`^kuda-(control|minio|node[1-9][0-9]*)$`)
	ownLink   = regexp.MustCompile(`^kuda(0|-ve[1-9][0-9]*)$`)
)

// IsOwnNetns reports whether a network namespace is the cluster's, not another
// one whose name also starts with "kuda".
func IsOwnNetns(name string) bool { return ownNetns.MatchString(name) }

// IsOwnCgroup reports whether a top-level cgroup is the cluster's.
func IsOwnCgroup(name string) bool { return ownCgroup.MatchString(name) }

// IsOwnLink reports whether a link of the host is the cluster's.
func IsOwnLink(name string) bool { return ownLink.MatchString(name) }

// A Node is one node of the cluster, counted from 1.
type Node int

// Nodes returns the first count nodes.
func Nodes(count int) []Node {
	nodes := make([]Node, 0, count)
	for i := 1; i <= count; i++ {
		nodes = append(nodes, Node(i))
	}
	return nodes
}

// ParseNode finds the node called name in a cluster of count nodes.
func ParseNode(name string, count int) (Node, error) {
	number, found := strings.CutPrefix(name, "node")
	i, err := strconv.Atoi(number)
	if !found || err != nil || i < 1 || Node(i).Name() != name {
		return 0, fmt.Errorf("%q is not a node: nodes are called node1 to node%d", name, count)
	}
	if i > count {
		return 0, fmt.Errorf("there is no %s: the cluster has %d node(s)", name, count)
	}
	return Node(i), nil
}

// Name is the node's name in Kubernetes.
func (n Node) Name() string { return "node" + strconv.Itoa(int(n)) }

// Netns is the name of the node's network namespace.
func (n Node) Netns() string { return "kuda-" + n.Name() }

// NetnsPath is where the node's network namespace is kept by ip-netns.
func (n Node) NetnsPath() string { return "/run/netns/" + n.Netns() }

// Veth is the host's end of the node's cable.
func (n Node) Veth() string { return "kuda-ve" + strconv.Itoa(int(n)) }

// Cgroup holds all that runs on the node, pods included.
func (n Node) Cgroup() string { return "kuda-" + n.Name() }

// SystemCgroup holds the node's own processes. They have a leaf of their own
// because cgroup v2 allows no processes beside child groups.
func (n Node) SystemCgroup() string { return n.Cgroup() + "/system" }

// Address is the node's own address on the bridge.
func (n Node) Address() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 200, 0, byte(10 + int(n))})
}

// PodCIDR is the node's share of the pods' network: 1022 addresses, more than
// any kubelet accepts pods, so that addresses of dead pods that were not yet
// given back never stop new ones.
func (n Node) PodCIDR() netip.Prefix {
	third := int(n) << (24 - podPrefixBits)
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(third), 0}), podPrefixBits)
}
