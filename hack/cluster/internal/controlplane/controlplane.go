// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cgroup"
	"github.com/kuda-io/kuda/hack/cluster/internal/kube"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

const readyLimit = 90 * time.Second

// Parts are the processes of the control plane, in the order they start.
var Parts = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// ControlPlane is what is needed to run one.
type ControlPlane struct {
	State   state.Dir
	Tools   build.Toolset
	Cgroups cgroup.System
}

func (c ControlPlane) table() process.Table { return process.NewTable(c.State.Processes()) }

// Server is the API server's URL.
func Server() string { return fmt.Sprintf("https://%s:%d", topology.BridgeAddress, topology.APIPort) }

// Running reports whether all parts run.
func (c ControlPlane) Running() bool {
	for _, name := range Parts {
		if !c.table().Running(name) {
			return false
		}
	}
	return true
}

func (c ControlPlane) kubeconfig(name string) string {
	return filepath.Join(c.State.PKI(), name+".kubeconfig")
}

// CheckPorts reports the first port that another program has.
func CheckPorts() error {
	for _, p := range []struct {
		address string
		port    int
		user    string
	}{
		{"127.0.0.1", topology.EtcdClientPort, "etcd"},
		{"127.0.0.1", topology.EtcdPeerPort, "etcd"},
		{topology.BridgeAddress, topology.APIPort, "the API server"},
		{"127.0.0.1", topology.ControllerManagerPort, "the controller manager"},
		{"127.0.0.1", topology.SchedulerPort, "the scheduler"},
	} {
		address := net.JoinHostPort(p.address, strconv.Itoa(p.port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%s, which %s needs, cannot be used: %w; find its user with 'ss -ltnp sport = :%d' and end it", address,
				p.user, err, p.port)
		}
		l.Close()
	}
	return nil
}

// Start starts etcd and the API server and returns when the latter is ready;
// the others are started then and find their way alone.
func (c ControlPlane) Start(ctx context.Context) error {
	for _, name := range Parts[:2] {
		if err := c.startPart(name); err != nil {
			return err
		}
	}
	client, err := kube.NewClient(c.State.Kubeconfig())
	if err != nil {
		return err
	}
	err = poll.Until(ctx, readyLimit, func(ctx context.Context) error {
		if err := c.allAlive(Parts[:2]); err != nil {
			return err
		}
		return client.Ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("starting the API server: %w; its log is %s", err, c.State.Log("kube-apiserver"))
	}
	for _, name := range Parts[2:] {
		if err := c.startPart(name); err != nil {
			return err
		}
	}
	return nil
}

func (c ControlPlane) allAlive(names []string) error {
	for _, name := range names {
		if !c.table().Running(name) {
			return poll.Fatal{Err: fmt.Errorf("%s ended; %s", name, process.LogTail(c.State.Log(name)))}
		}
	}
	return nil
}

func (c ControlPlane) startPart(name string) error {
	dirs, err := c.Cgroups.Create(topology.ControlPlaneCgroup)
	if err != nil {
		return err
	}
	_, err = c.table().Start(process.Spec{
		Name:  name,
		Argv:  append([]string{filepath.Join(c.Tools.Bin(), name)}, c.arguments(name)...),
		Env:   process.Environment(c.Tools.Bin()),
		Log:   c.State.Log(name),
		Place: process.Place{Cgroups: dirs},
	})
	return err
}
