// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cgroup"
	"github.com/kuda-io/kuda/hack/cluster/internal/network"
	"github.com/kuda-io/kuda/hack/cluster/internal/policy"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

const (
	startLimit = 60 * time.Second
	killLimit  = 20 * time.Second
)

// Host is the machine the nodes are on.
type Host struct {
	State   state.Dir
	Count   int
	Tools   build.Toolset
	Cgroups cgroup.System
}

func (h Host) table() process.Table { return process.NewTable(h.State.Processes()) }

// holder is the process that keeps a node's mount namespace; it does nothing.
func holder(n topology.Node) string { return n.Name() + "/holder" }

// enforcer is the process that enforces NetworkPolicies.
func enforcer(n topology.Node) string { return n.Name() + "/network-policy" }

// Parts are the processes a node consists of, in the order they start.
func Parts(n topology.Node) []string {
	return []string{holder(n), n.Name() + "/containerd", n.Name() + "/kubelet", n.Name() + "/kube-proxy", enforcer(n)}
}

// Running reports whether all of the node's own processes run.
func (h Host) Running(n topology.Node) bool {
	for _, name := range Parts(n) {
		if !h.table().Running(name) {
			return false
		}
	}
	return true
}

// Start starts the node with the disk it has. It returns when containerd
// answers and the kubelet runs; the node is Ready a little later.
func (h Host) Start(ctx context.Context, n topology.Node) error {
	if h.Running(n) {
		return nil
	}
	// What a half-dead node left would be in the way of the new one.
	if err := h.Kill(ctx, n); err != nil {
		return err
	}
	if err := network.CreateNode(ctx, n, h.Count); err != nil {
		return err
	}
	dirs, err := h.Cgroups.Create(n.SystemCgroup())
	if err != nil {
		return fmt.Errorf("starting %s: %w", n.Name(), err)
	}
	nodeDir := h.State.Node(n)
	boot, err := newBoot(nodeDir.Etc())
	if err != nil {
		return fmt.Errorf("starting %s: %w", n.Name(), err)
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		return fmt.Errorf("starting %s: %w", n.Name(), err)
	}
	_, err = h.table().Start(process.Spec{
		Name: holder(n), Argv: []string{sleep, "infinity"}, Env: process.Environment(h.Tools.Bin()), Log: h.State.Log(holder(n)),
		Place: process.Place{Cgroups: dirs, Netns: n.NetnsPath(), Mounts: []process.Mount{
			{Target: "/run", Mkdir: []string{"netns", "lock", strings.TrimPrefix(etcDir, "/run/")}},
			{Source: nodeDir.Etc(), Target: etcDir},
			{Source: boot, Target: bootIDFile},
			{Source: nodeDir.VarLog(), Target: "/var/log"},
			// Last: the state directory usually lies below it.
			{Source: nodeDir.VarLib(), Target: "/var/lib"},
		}},
	})
	if err != nil {
		return err
	}
	if err := h.startPart(n, "containerd", "containerd", "--config", etcDir+"/containerd.toml"); err != nil {
		return err
	}
	if err := poll.Until(ctx, startLimit, func(ctx context.Context) error { return h.containerdAnswers(ctx, n) }); err != nil {
		return fmt.Errorf("starting containerd of %s: %w", n.Name(), err)
	}
	if err := h.loadMissing(ctx, n); err != nil {
		return err
	}
	if err := h.startKubelet(n); err != nil {
		return err
	}
	// This program itself: its file may be where the node does not see it.
	err = h.startPart(n, "network-policy", "/proc/self/exe", "network-policy",
		"--kubeconfig="+etcDir+"/network-policy.kubeconfig", "--node="+n.Name())
	if err != nil {
		return err
	}
	return h.startPart(n, "kube-proxy", "kube-proxy",
		"--kubeconfig="+etcDir+"/kube-proxy.kubeconfig", "--hostname-override="+n.Name(),
		"--proxy-mode=nftables", "--cluster-cidr="+topology.PodCIDR,
		// By default it is on all addresses of the node.
		"--healthz-bind-address=127.0.0.1:10256",
		// The conntrack settings are the whole machine's; they are left alone.
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
}

func (h Host) startKubelet(n topology.Node) error {
	return h.startPart(n, "kubelet", "kubelet",
		"--config="+etcDir+"/kubelet.yaml", "--kubeconfig="+etcDir+"/kubelet.kubeconfig",
		"--hostname-override="+n.Name(), "--node-ip="+n.Address().String(), "--cert-dir=/var/lib/kubelet/pki")
}

// RestartKubelet kills the kubelet of a node that runs, and starts another one. The
// node's containers go on.
func (h Host) RestartKubelet(n topology.Node) error {
	if !h.Running(n) {
		return fmt.Errorf("restarting the kubelet of %s: the node does not run; start it first", n.Name())
	}
	kubelet, _ := h.table().Get(n.Name() + "/kubelet")
	if err := kubelet.Signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("killing the kubelet of %s: %w", n.Name(), err)
	}
	if err := kubelet.Stop(killLimit); err != nil {
		return fmt.Errorf("killing the kubelet of %s: %w", n.Name(), err)
	}
	return h.startKubelet(n)
}

func (h Host) startPart(n topology.Node, part string, argv ...string) error {
	place, err := h.Place(n)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(h.Tools.Bin(), argv[0])
	}
	name := n.Name() + "/" + part
	_, err = h.table().Start(process.Spec{
		Name: name, Argv: argv, Env: process.Environment(h.Tools.Bin()), Log: h.State.Log(name), Place: place,
	})
	return err
}

// PoliciesInForce returns nil when the node's enforcer has put its rules in force
// for the first time.
func (h Host) PoliciesInForce(ctx context.Context, n topology.Node) error {
	if !h.table().Running(enforcer(n)) {
		return poll.Fatal{Err: fmt.Errorf("the enforcer of NetworkPolicies of %s ended; %s", n.Name(), process.LogTail(h.State.Log(enforcer(n))))}
	}
	if err := network.HaveTable(ctx, n, policy.Table); err != nil {
		return fmt.Errorf("NetworkPolicies are not yet in force on %s: %w", n.Name(), err)
	}
	return nil
}

// Place is inside the node, beside its own processes.
func (h Host) Place(n topology.Node) (process.Place, error) {
	e, ok := h.table().Get(holder(n))
	if !ok || !e.Alive() {
		return process.Place{}, fmt.Errorf("%s does not run: start it with 'kuda-cluster node start %s'", n.Name(), n.Name())
	}
	dirs, err := h.Cgroups.Create(n.SystemCgroup())
	if err != nil {
		return process.Place{}, err
	}
	return process.Place{Cgroups: dirs, Netns: n.NetnsPath(), Mntns: fmt.Sprintf("/proc/%d/ns/mnt", e.PID)}, nil
}

func (h Host) containerdAnswers(ctx context.Context, n topology.Node) error {
	name := n.Name() + "/containerd"
	if !h.table().Running(name) {
		return poll.Fatal{Err: fmt.Errorf("it ended; %s", process.LogTail(h.State.Log(name)))}
	}
	_, err := h.Ctr(ctx, n, nil, "version")
	return err
}

// Kill ends the node at once and takes its cable away. Its disk stays. A node
// that does not run is no error.
func (h Host) Kill(ctx context.Context, n topology.Node) error {
	_, err := h.Cgroups.Kill(n.Cgroup(), killLimit)
	if err != nil {
		return fmt.Errorf("killing %s: %w", n.Name(), err)
	}
	return errors.Join(
		h.table().Forget(n.Name()+"/"),
		network.RemoveNode(ctx, n),
		h.Cgroups.Remove(n.Cgroup(), killLimit),
	)
}

// Wipe kills the node and empties its /var/lib/kuda.
func (h Host) Wipe(ctx context.Context, n topology.Node) error {
	if err := h.Kill(ctx, n); err != nil {
		return err
	}
	dir := h.State.Node(n).Kuda()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("wiping %s: %w", n.Name(), err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("wiping %s: %w", n.Name(), err)
	}
	return nil
}
