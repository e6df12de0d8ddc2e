// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// Shape is how bad a cable is made. The zero value is a good one.
type Shape struct {
	// Delay is added to each packet in each direction, so a round trip takes
	// twice as much longer.
	Delay time.Duration
	// Rate bounds each direction, as tc writes it: "100mbit". Empty is no bound.
	Rate string
	// Loss is the share of packets dropped in each direction, in percent.
	Loss float64
}

// ErrNoNetem says that the kernel cannot delay packets.
var ErrNoNetem = errors.New("this kernel has no netem queue (CONFIG_NET_SCH_NETEM): --delay is not possible here; --rate and --loss are")

// Cut pulls the cable of node n.
func Cut(ctx context.Context, n topology.Node) error {
	if err := run(ctx, "ip", "link", "set", n.Veth(), "down"); err != nil {
		return fmt.Errorf("cutting the link of %s: %w", n.Name(), err)
	}
	return nil
}

// Restore puts the cable of node n back and takes any shape off it.
func Restore(ctx context.Context, n topology.Node) error {
	if err := unshape(ctx, n); err != nil {
		return err
	}
	if err := run(ctx, "ip", "link", "set", n.Veth(), "up"); err != nil {
		return fmt.Errorf("restoring the link of %s: %w", n.Name(), err)
	}
	return nil
}

// SetShape gives the cable of node n the shape s in place of the one it has.
func SetShape(ctx context.Context, n topology.Node, s Shape) error {
	if err := unshape(ctx, n); err != nil {
		return err
	}
	if s == (Shape{}) {
		return nil
	}
	if haveNetem(ctx, n) {
		return netem(ctx, n, s)
	}
	if s.Delay > 0 {
		return ErrNoNetem
	}
	if s.Rate != "" {
		// The burst lets a full-size segmentation-offload packet through at once;
		// with a smaller one tbf drops such packets for ever.
		if err := bothEnds(ctx, n, "tbf", "rate", s.Rate, "burst", "128kb", "latency", "50ms"); err != nil {
			return err
		}
	}
	if s.Loss > 0 {
		return drop(ctx, n, s.Loss)
	}
	return nil
}

func netem(ctx context.Context, n topology.Node, s Shape) error {
	args := []string{"netem"}
	if s.Delay > 0 {
		args = append(args, "delay", fmt.Sprintf("%dus", s.Delay.Microseconds()))
	}
	if s.Rate != "" {
		args = append(args, "rate", s.Rate)
	}
	if s.Loss > 0 {
		args = append(args, "loss", fmt.Sprintf("%g%%", s.Loss))
	}
	// The usual limit of 1000 packets would drop what a long fast link holds.
	return bothEnds(ctx, n, append(args, "limit", "100000")...)
}

// bothEnds sets a queue on the host's end, which is the way to the node, and
// on the node's end, which is the way from it.
func bothEnds(ctx context.Context, n topology.Node, qdisc ...string) error {
	for _, argv := range [][]string{
		{"tc", "qdisc", "replace", "dev", n.Veth(), "root"},
		{"tc", "-n", n.Netns(), "qdisc", "replace", "dev", "eth0", "root"},
	} {
		if err := run(ctx, append(argv, qdisc...)...); err != nil {
			return fmt.Errorf("shaping the link of %s: %w", n.Name(), err)
		}
	}
	return nil
}

func haveNetem(ctx context.Context, n topology.Node) bool {
	if run(ctx, "tc", "qdisc", "replace", "dev", n.Veth(), "root", "netem") != nil {
		return false
	}
	return run(ctx, "tc", "qdisc", "del", "dev", n.Veth(), "root") == nil
}

const lossTable = "kuda_link"

// drop loses packets by chance at the node's end of the cable, before anything
// else sees them.
func drop(ctx context.Context, n topology.Node, percent float64) error {
	limit := int(percent * 1000)
	rules := fmt.Sprintf(`table netdev %[1]s {
  chain in { type filter hook ingress device "eth0" priority 0; numgen random mod 100000 < %[2]d drop; }
  chain out { type filter hook egress device "eth0" priority 0; numgen random mod 100000 < %[2]d drop; }
}
`, lossTable, limit)
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", n.Netns(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("shaping the link of %s: %w: %s", n.Name(), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// unshape takes off what SetShape puts on. A link without a shape is no error,
// and tc and nft only say so in words, so the outcome is looked at instead.
func unshape(ctx context.Context, n topology.Node) error {
	_ = run(ctx, "tc", "qdisc", "del", "dev", n.Veth(), "root")
	_ = run(ctx, "tc", "-n", n.Netns(), "qdisc", "del", "dev", "eth0", "root")
	_ = run(ctx, "ip", "netns", "exec", n.Netns(), "nft", "delete", "table", "netdev", lossTable)
	if !Exists(n.Veth()) {
		return fmt.Errorf("%s has no link: start the node first", n.Name())
	}
	return nil
}

// ParsePercent reads a share such as "1%" or "0.5".
func ParsePercent(s string) (float64, error) {
	p, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(p >= 0 && p <= 100) { // NaN is neither
		return 0, fmt.Errorf("%q is not a share in percent: give 0%% to 100%%", s)
	}
	return p, nil
}
