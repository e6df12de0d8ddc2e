// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// AllowForwarding lets the bridge's traffic pass on machines whose firewall
// forwards nothing by default, as Docker sets it. Where the filter lets it
// through anyway nothing is changed.
func AllowForwarding(ctx context.Context) (changed bool, err error) {
	rules, err := forwardRules(ctx)
	if err != nil || !refuses(rules) {
		return false, nil //nolint:nilerr // without readable iptables rules no rule refuses
	}
	for _, direction := range []string{"-i", "-o"} {
		if err := run(ctx, "iptables", "-w", "-I", "FORWARD", direction, topology.Bridge, "-j", "ACCEPT"); err != nil {
			return false, fmt.Errorf("letting the nodes' traffic through the firewall: %w", err)
		}
	}
	return true, nil
}

// RemoveForwarding takes back what AllowForwarding did, and returns how many
// rules that were.
func RemoveForwarding(ctx context.Context) (int, error) {
	rules, err := forwardRules(ctx)
	if err != nil {
		return 0, nil //nolint:nilerr // TODOWHY // as above
	}
	n := 0
	for _, rule := range ownRules(rules) {
		argv := append([]string{"iptables", "-w", "-D"}, strings.Fields(strings.TrimPrefix(rule, "-A "))...)
		if err := run(ctx, argv...); err != nil {
			return n, fmt.Errorf("removing a firewall rule: %w", err)
		}
		n++
	}
	return n, nil
}

func forwardRules(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "iptables", "-w", "-S", "FORWARD").Output()
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
}

func refuses(rules []string) bool {
	for _, r := range rules {
		if r == "-P FORWARD DROP" {
			return true
		}
	}
	return false
}

func ownRules(rules []string) []string {
	var own []string
	for _, r := range rules {
		if r == "-A FORWARD -i "+topology.Bridge+" -j ACCEPT" || r == "-A FORWARD -o "+topology.Bridge+" -j ACCEPT" {
			own = append(own, r)
		}
	}
	return own
}
