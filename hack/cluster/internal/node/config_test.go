// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

func TestEachNodeHasItsOwnCgroupAndPodNetwork(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range topology.Nodes(3) {
		body, err := kubeletConfig(n)
		if err != nil {
			t.Fatal(err)
		}
		var kubelet struct {
			CgroupRoot string   `json:"cgroupRoot"`
			MaxPods    int      `json:"maxPods"`
			ClusterDNS []string `json:"clusterDNS"`
		}
		if err := json.Unmarshal(body, &kubelet); err != nil {
			t.Fatal(err)
		}
		body, err = cniConfig(n)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), n.PodCIDR().String()) {
			t.Errorf("%s: %s lacks %s", n.Name(), body, n.PodCIDR())
		}
		if seen[kubelet.CgroupRoot] || !topology.IsOwnCgroup(strings.TrimPrefix(kubelet.CgroupRoot, "/")) {
			t.Errorf("%s has cgroup %s", n.Name(), kubelet.CgroupRoot)
		}
		seen[kubelet.CgroupRoot] = true
		if size := 1 << (32 - n.PodCIDR().Bits()); kubelet.MaxPods > size-3 {
			t.Errorf("%s takes %d pods and has %d addresses", n.Name(), kubelet.MaxPods, size)
		}
	}
}

func TestSandboxesStartWithoutTheRightToRaiseTheirScore(t *testing.T) {
	for canRaise, want := range map[bool]string{true: "restrict_oom_score_adj = false", false: "restrict_oom_score_adj = true"} {
		if got := containerdConfig(canRaise); !strings.Contains(got, want) {
			t.Errorf("containerdConfig(%v) lacks %q:\n%s", canRaise, want, got)
		}
	}
}
