// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/cluster/internal/cluster"
	"github.com/kuda-io/kuda/hack/cluster/internal/network"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/step"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// forNode makes a command that changes one node.
func forNode(use, short, done string, f func(context.Context, *cluster.Cluster, topology.Node, *step.Log) error) *cobra.Command {
	return &cobra.Command{
		Use:   use + " NODE",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opened(cmd, cmd.CommandPath(), func(ctx context.Context, c *cluster.Cluster, out io.Writer) error {
				n, err := c.Node(args[0])
				if err != nil {
					return err
				}
				if err := f(ctx, c, n, step.New(out)); err != nil {
					return err
				}
				fmt.Fprintf(out, "%s: %s\n", n.Name(), done)
				return nil
			})
		},
	}
}

func newNode() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Kill, start, wipe a node, restart its kubelet, or run a command on it"}
	cmd.AddCommand(
		forNode("kill", "End all of a node at once, like a power cut; its disk stays", "killed",
			func(ctx context.Context, c *cluster.Cluster, n topology.Node, _ *step.Log) error {
				return c.Host().Kill(ctx, n)
			}),
		forNode("start", "Start a node with the disk it has and wait until it is ready", "started",
			func(ctx context.Context, c *cluster.Cluster, n topology.Node, log *step.Log) error {
				return c.StartNode(ctx, n, log)
			}),
		forNode("restart", "Kill a node, start it, and wait until it is ready", "restarted",
			func(ctx context.Context, c *cluster.Cluster, n topology.Node, log *step.Log) error {
				if err := c.Host().Kill(ctx, n); err != nil {
					return err
				}
				return c.StartNode(ctx, n, log)
			}),
		forNode("restart-kubelet", "Kill a node's kubelet and start another one; the containers go on", "has another kubelet",
			func(_ context.Context, c *cluster.Cluster, n topology.Node, _ *step.Log) error {
				return c.Host().RestartKubelet(n)
			}),
		forNode("wipe", "Kill a node and empty its /var/lib/kuda", "killed, /var/lib/kuda emptied",
			func(ctx context.Context, c *cluster.Cluster, n topology.Node, _ *step.Log) error {
				return c.Host().Wipe(ctx, n)
			}),
		newNodeExec(),
	)
	return cmd
}

func newNodeExec() *cobra.Command {
	return &cobra.Command{
		Use:   "exec NODE -- COMMAND [ARG...]",
		Short: "Run a command in a node's network, mounts and cgroup",
		Example: `  kuda-cluster node exec node1 -- ctr -n k8s.io containers list
  kuda-cluster node exec node2 -- find /var/lib/kuda`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cluster.CheckRoot("node exec"); err != nil {
				return err
			}
			c, err := looking()
			if err != nil {
				return err
			}
			n, err := c.Node(args[0])
			if err != nil {
				return err
			}
			place, err := c.Host().Place(n)
			if err != nil {
				return err
			}
			// This process becomes the command: its streams, its exit code and the
			// signals it gets are then the command's without any passing on.
			return place.Exec(args[1:], process.UserEnvironment(c.Tools.Bin()))
		},
	}
}

func newLink() *cobra.Command {
	cmd := &cobra.Command{Use: "link", Short: "Cut, restore or shape the cable of a node"}
	cmd.AddCommand(
		forNode("cut", "Pull a node's cable", "link cut",
			func(ctx context.Context, _ *cluster.Cluster, n topology.Node, _ *step.Log) error {
				return network.Cut(ctx, n)
			}),
		forNode("restore", "Put a node's cable back and take any shape off it", "link restored",
			func(ctx context.Context, _ *cluster.Cluster, n topology.Node, _ *step.Log) error {
				return network.Restore(ctx, n)
			}),
		newShape(),
	)
	return cmd
}

func newShape() *cobra.Command {
	var (
		delay time.Duration
		rate  string
		loss  string
	)
	cmd := forNode("shape", "Make a node's cable slow or lossy, in each direction", "link shaped",
		func(ctx context.Context, _ *cluster.Cluster, n topology.Node, _ *step.Log) error {
			percent, err := network.ParsePercent(loss)
			if err != nil {
				return err
			}
			return network.SetShape(ctx, n, network.Shape{Delay: delay, Rate: rate, Loss: percent})
		})
	cmd.Long = `Make a node's cable slow or lossy, in each direction. The new shape takes the
place of the old one; without flags the cable is good again.

--delay needs the kernel's netem queue. Without it --rate is done by a token
bucket and --loss by a packet filter.`
	cmd.Flags().DurationVar(&delay, "delay", 0, "added to each packet in each direction, like 20ms")
	cmd.Flags().StringVar(&rate, "rate", "", "bound of each direction, like 100mbit")
	cmd.Flags().StringVar(&loss, "loss", "0", "share of packets lost in each direction, like 1%")
	return cmd
}
