// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"strings"
	"testing"
)

func TestSettingsThatAreUnknownOrWrongAreNamed(t *testing.T) {
	for name, value := range map[string]string{"colour": "red", "auth": "KERBEROS", "workers": "0", "block-size": "64MB", "proxy": "perhaps"} {
		if _, err := parseSettings(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: got %v", name, value, err)
		}
	}
}

func TestEachServerHasPortsOfItsOwn(t *testing.T) {
	s, err := parseSettings(map[string]string{"workers": "2", "proxy": "true"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(s, t.TempDir(), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, server := range c.servers {
		for _, address := range []string{server.rpc, server.web} {
			if address != "" && seen[address] {
				t.Errorf("%s is given twice", address)
			}
			seen[address] = true
		}
	}
	if len(c.servers) != 4 {
		t.Errorf("there are %d servers, want master, two workers and the proxy", len(c.servers))
	}
}
