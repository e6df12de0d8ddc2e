// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/controlplane"
	"github.com/kuda-io/kuda/hack/cluster/internal/kube"
	"github.com/kuda-io/kuda/hack/cluster/internal/network"
	"github.com/kuda-io/kuda/hack/cluster/internal/node"
	"github.com/kuda-io/kuda/hack/cluster/internal/pki"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/step"
	"github.com/kuda-io/kuda/hack/cluster/internal/sysctl"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

const (
	nodesLimit = 3 * time.Minute
	dnsLimit   = 2 * time.Minute
)

// Up brings the cluster up. A healthy one is left as it is, one that only lacks
// nodes gets them back, any other is taken down first.
func Up(ctx context.Context, dir state.Dir, tools build.Toolset, nodes int, log *step.Log) error {
	if nodes < 1 || nodes > topology.MaxNodes {
		return fmt.Errorf("%d nodes are not possible: ask for 1 to %d", nodes, topology.MaxNodes)
	}
	if err := CheckOwner(dir); err != nil {
		return err
	}
	c, err := Open(dir)
	switch {
	case err == nil && c.Record.Layout != state.Layout:
		log.Note("the cluster is of another version of kuda-cluster: it is made anew")
	case err == nil && c.controlPlaneAnswers(ctx):
		if c.Record.Nodes != nodes {
			return fmt.Errorf("a cluster of %d nodes is up and %d were asked for: run 'kuda-cluster down' first", c.Record.Nodes, nodes)
		}
		err := c.repair(ctx, log)
		if err == nil {
			return nil
		}
		log.Note("the cluster cannot be repaired: %v", err)
	}
	if leftovers, err := Leftovers(dir); err != nil {
		return err
	} else if len(leftovers) > 0 {
		err := log.Do("taking down what is left of a cluster", func() error { return Down(ctx, dir, func(string) {}) })
		if err != nil {
			return err
		}
	}
	if err := preflight(); err != nil {
		return err
	}
	if c, err = create(dir, tools, nodes); err != nil {
		return err
	}
	return c.start(ctx, log)
}

// create makes the state directory. From here on 'down' knows what to do.
func create(dir state.Dir, tools build.Toolset, nodes int) (*Cluster, error) {
	if err := dir.Create(); err != nil {
		return nil, err
	}
	err := dir.Save(state.Record{
		Layout: state.Layout, Nodes: nodes, BinDir: tools.Bin(), Boot: state.BootID(), Created: time.Now().UTC(),
		NetnsDir: network.HaveNetnsDir(), Sysctls: sysctl.Capture(),
	})
	if err != nil {
		return nil, err
	}
	return Open(dir)
}

func (c *Cluster) start(ctx context.Context, log *step.Log) error {
	var ca *pki.Authority
	err := log.Do("network, certificates", func() (err error) {
		for _, name := range sysctl.Raise() {
			log.Note("warning: the kernel setting %s could not be raised", name)
		}
		if err := network.CreateBridge(ctx, c.State.Root()); err != nil {
			return err
		}
		if _, err := network.AllowForwarding(ctx); err != nil {
			return err
		}
		if err := controlplane.CheckPorts(); err != nil {
			return err
		}
		if ca, err = c.controlPlane().Credentials(); err != nil {
			return err
		}
		return c.EachNode(func(n topology.Node) error {
			return node.WriteConfig(n, c.State.Node(n), ca, c.Cgroups)
		})
	})
	if err != nil {
		return err
	}
	// A node's kubelet keeps asking until the API server answers, so neither has
	// to wait for the other.
	since := time.Now()
	started := make(chan error, 1)
	go func() {
		started <- log.Do(fmt.Sprintf("%d node(s): network, containerd, kubelet, kube-proxy", c.Record.Nodes), func() error {
			return c.EachNode(func(n topology.Node) error { return c.Host().Start(ctx, n) })
		})
	}()
	controlErr := log.Do("control plane: etcd, API server, controllers, scheduler", func() error {
		return c.controlPlane().Start(ctx)
	})
	nodesErr := <-started
	if controlErr != nil {
		return controlErr
	}
	if nodesErr != nil {
		return nodesErr
	}
	if err := log.Do("DNS, rights installed", func() error { return c.controlPlane().ApplyAddons(ctx, c.Record.Nodes) }); err != nil {
		return err
	}
	return c.waitReady(ctx, topology.Nodes(c.Record.Nodes), since, log)
}

// waitReady waits until the nodes are ready, and DNS with them.
func (c *Cluster) waitReady(ctx context.Context, nodes []topology.Node, since time.Time, log *step.Log) error {
	check, err := c.readyCheck(nodes, since)
	if err != nil {
		return err
	}
	if err := log.Do("nodes ready", func() error { return poll.Until(ctx, nodesLimit, check) }); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return log.Do("DNS ready", func() error {
		return poll.Until(ctx, dnsLimit, func(ctx context.Context) error {
			return client.DeploymentReady(ctx, "kube-system", "coredns")
		})
	})
}

func (c *Cluster) client() (*kube.Client, error) { return kube.NewClient(c.State.Kubeconfig()) }

func (c *Cluster) controlPlaneAnswers(ctx context.Context) bool {
	if c.Record.Boot != state.BootID() || !c.controlPlane().Running() {
		return false
	}
	client, err := c.client()
	return err == nil && client.Ready(ctx) == nil
}

// repair starts the nodes that do not run.
func (c *Cluster) repair(ctx context.Context, log *step.Log) error {
	var dead []topology.Node
	for _, n := range topology.Nodes(c.Record.Nodes) {
		if !c.Host().Running(n) {
			dead = append(dead, n)
		}
	}
	for _, n := range dead {
		if err := c.StartNode(ctx, n, log); err != nil {
			return err
		}
	}
	if err := c.waitReady(ctx, topology.Nodes(c.Record.Nodes), time.Time{}, log); err != nil {
		return err
	}
	if len(dead) == 0 {
		log.Note("the cluster is up already")
	}
	return nil
}

// StartNode starts one node and waits until it is ready.
func (c *Cluster) StartNode(ctx context.Context, n topology.Node, log *step.Log) error {
	since := time.Now()
	if c.Host().Running(n) {
		log.Note("%s runs already", n.Name())
		return nil
	}
	if err := log.Do(n.Name()+" started", func() error { return c.Host().Start(ctx, n) }); err != nil {
		return err
	}
	check, err := c.readyCheck([]topology.Node{n}, since)
	if err != nil {
		return err
	}
	return log.Do(n.Name()+" ready", func() error { return poll.Until(ctx, nodesLimit, check) })
}
