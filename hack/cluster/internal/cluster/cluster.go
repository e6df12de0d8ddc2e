// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cgroup"
	"github.com/kuda-io/kuda/hack/cluster/internal/controlplane"
	"github.com/kuda-io/kuda/hack/cluster/internal/network"
	"github.com/kuda-io/kuda/hack/cluster/internal/node"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// Cluster is a cluster that has been brought up, or is being.
type Cluster struct {
	State   state.Dir
	Record  state.Record
	Tools   build.Toolset
	Cgroups cgroup.System
}

// Open returns the cluster of the state directory.
func Open(dir state.Dir) (*Cluster, error) {
	record, err := dir.Load()
	if err != nil {
		return nil, err
	}
	cgroups, err := cgroup.Detect()
	if err != nil {
		return nil, err
	}
	return &Cluster{State: dir, Record: record, Tools: build.ToolsetOfBin(record.BinDir), Cgroups: cgroups}, nil
}

// Host gives access to the cluster's nodes.
func (c *Cluster) Host() node.Host {
	return node.Host{State: c.State, Count: c.Record.Nodes, Tools: c.Tools, Cgroups: c.Cgroups}
}

func (c *Cluster) controlPlane() controlplane.ControlPlane {
	return controlplane.ControlPlane{State: c.State, Tools: c.Tools, Cgroups: c.Cgroups}
}

// Node finds a node by its name.
func (c *Cluster) Node(name string) (topology.Node, error) {
	return topology.ParseNode(name, c.Record.Nodes)
}

// EachNode runs f for all nodes at once and joins what goes wrong.
func (c *Cluster) EachNode(f func(topology.Node) error) error {
	nodes := topology.Nodes(c.Record.Nodes)
	problems := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() { problems[i] = f(n) })
	}
	all.Wait()
	return errors.Join(problems...)
}

// CheckRoot says what to do when the program lacks the rights it needs.
func CheckRoot(command string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s needs root: it makes network namespaces and mounts; run it with sudo", command)
	}
	return nil
}

// CheckOwner refuses to touch a cluster that belongs to another state directory.
func CheckOwner(dir state.Dir) error {
	if owner := network.Owner(); owner != "" && owner != dir.Root() {
		return fmt.Errorf("this machine's cluster keeps its state in %s, not in %s; set KUDA_CLUSTER_STATE=%s", owner, dir.Root(), owner)
	}
	return nil
}

// preflight finds out what would stop a new cluster, before any of it is made.
func preflight() error {
	if missing := build.MissingPackages(); len(missing) > 0 {
		return fmt.Errorf("programs are missing; install them with 'kuda-cluster build' or 'apt-get install %s'", strings.Join(missing, " "))
	}
	for _, ns := range []string{"net", "mnt"} {
		if _, err := os.Stat("/proc/self/ns/" + ns); err != nil {
			return fmt.Errorf("this kernel has no %s namespaces: %w; the cluster cannot run on it", ns, err)
		}
	}
	if _, err := cgroup.Detect(); err != nil {
		return err
	}
	conflict, err := network.Conflict()
	if err != nil {
		return err
	}
	if conflict != "" {
		return fmt.Errorf("the cluster's networks (%s, %s, %s) overlap with %s; take that link down first",
			topology.BridgePrefix, topology.PodCIDR, topology.ServiceCIDR, conflict)
	}
	return nil
}

// readyCheck returns a check that the named nodes are ready and have reported it after
// since.
func (c *Cluster) readyCheck(nodes []topology.Node, since time.Time) (func(context.Context) error, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	// The API server keeps whole seconds only.
	since = since.Truncate(time.Second)
	return func(ctx context.Context) error {
		have, err := client.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			s, ok := have[n.Name()]
			switch {
			case !ok:
				return fmt.Errorf("%s has not registered; its kubelet's log is %s", n.Name(), c.State.Log(n.Name()+"/kubelet"))
			case s.Heartbeat.Before(since):
				return fmt.Errorf("%s has not reported since it was started", n.Name())
			case !s.Ready:
				return fmt.Errorf("%s is not ready: %s", n.Name(), s.Reason)
			}
			if err := c.Host().PoliciesInForce(ctx, n); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
