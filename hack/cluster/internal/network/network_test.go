// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyOurOwnFirewallRulesAreTakenBack(t *testing.T) {
	rules := []string{
		"-P FORWARD DROP",
		"-A FORWARD -o kuda0 -j ACCEPT",
		"-A FORWARD -i kuda0 -j ACCEPT",
		"-A FORWARD -i kuda0 -j DROP",
		"-A FORWARD -i kuda01 -j ACCEPT",
		"-A FORWARD -j DOCKER-USER",
	}
	if !refuses(rules) || refuses([]string{"-P FORWARD ACCEPT"}) {
		t.Error("the firewall's default is misread")
	}
	if d := cmp.Diff(rules[1:3], ownRules(rules)); d != "" {
		t.Error(d)
	}
}

func TestSharesAreReadWithAndWithoutSign(t *testing.T) {
	for s, want := range map[string]float64{"1%": 1, "0.5": 0.5, "0": 0, "100%": 100} {
		if got, err := ParsePercent(s); err != nil || got != want {
			t.Errorf("ParsePercent(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "%", "-1", "101%", "NaN", "one"} {
		if _, err := ParsePercent(s); err == nil {
			t.Errorf("ParsePercent(%q) gave no error", s)
		}
	}
}
