// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

func TestDNSIsWhereKubeletsLookForIt(t *testing.T) {
	for count, replicas := range map[int]string{1: "replicas: 1", 3: "replicas: 2"} {
		got, err := DNSManifests(count)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"clusterIP: " + topology.DNSServiceAddress, "kubernetes " + topology.Domain, replicas} {
			if !strings.Contains(got, want) {
				t.Errorf("%d nodes: no %q in the manifests", count, want)
			}
		}
	}
}

func TestEveryPartHasArguments(t *testing.T) {
	for _, name := range Parts {
		if len((ControlPlane{}).arguments(name)) == 0 {
			t.Errorf("%s would start without arguments", name)
		}
	}
}
