// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"net/netip"
	"testing"
)

func TestPodNetworksNeverOverlapOrLeaveTheClusterNetwork(t *testing.T) {
	all := netip.MustParsePrefix(PodCIDR)
	nodes := Nodes(MaxNodes)
	for i, n := range nodes {
		p := n.PodCIDR()
		if p != p.Masked() {
			t.Errorf("%s: %s is not a network address", n.Name(), p)
		}
		if !all.Contains(p.Addr()) {
			t.Errorf("%s: %s is outside %s", n.Name(), p, all)
		}
		for _, m := range nodes[:i] {
			if p.Overlaps(m.PodCIDR()) {
				t.Errorf("%s %s overlaps %s %s", n.Name(), p, m.Name(), m.PodCIDR())
			}
		}
	}
}

func TestNodeAddressesAreOnTheBridge(t *testing.T) {
	bridge := netip.MustParsePrefix(BridgePrefix)
	for _, n := range Nodes(MaxNodes) {
		if a := n.Address(); !bridge.Contains(a) || a.String() == BridgeAddress {
			t.Errorf("%s has address %s", n.Name(), a)
		}
	}
	if got := Node(1).Address().String(); got != "10.200.0.11" {
		t.Errorf("node1 has address %s", got)
	}
}

func TestLinkNamesFitTheKernel(t *testing.T) {
	for _, n := range Nodes(MaxNodes) {
		if len(n.Veth()) > 15 {
			t.Errorf("%s is longer than 15 characters", n.Veth())
		}
	}
}

func TestParseNodeRefusesWhatIsNotANode(t *testing.T) {
	for _, name := range []string{"", "node", "node0", "node4", "node01", "node-1", "node+1", "1", "nodeX"} {
		if n, err := ParseNode(name, 3); err == nil {
			t.Errorf("ParseNode(%q) = %v, want an error", name, n)
		}
	}
	n, err := ParseNode("node3", 3)
	if err != nil || n != 3 {
		t.Errorf("ParseNode(node3) = %v, %v", n, err)
	}
}

func TestOwnNamesAreRecognisedAndOthersAreNot(t *testing.T) {
	for _, n := range Nodes(MaxNodes) {
		if !IsOwnNetns(n.Netns()) || !IsOwnCgroup(n.Cgroup()) || !IsOwnLink(n.Veth()) {
			t.Errorf("%s: its own names are not recognised", n.Name())
		}
	}
	if !IsOwnLink(Bridge) || !IsOwnCgroup(ControlPlaneCgroup) || !IsOwnCgroup(MinioCgroup) {
		t.Error("the host's own names are not recognised")
	}
	for _, name := range []string{"", "kuda", "kuda1", "kuda-bench", "kuda-node", "kuda-node1-x", "xkuda-node1", "kuda-ve", "kuda0.5"} {
		if IsOwnNetns(name) || IsOwnCgroup(name) || IsOwnLink(name) {
			t.Errorf("%q passes for one of the cluster's names", name)
		}
	}
}
