// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package drivercmd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/gen/csi/v1/csiv1connect"
	"github.com/kuda-io/kuda/internal/node/driver"
	"github.com/kuda-io/kuda/internal/node/takeover"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const long = `Driver mounts the node's stores into pods: it is a CSI node plugin that the kubelet
calls at a socket. It runs as root, privileged, in a container that has

  the kubelet's directory plugins_registry,
  the kubelet's directory pods, at its own path, with mountPropagation Bidirectional,
  the directory of the node's stores, with mountPropagation HostToContainer.

It needs no network and no rights in the Kubernetes API.`

// checkTime is how long the driver may take to say that it works.
const checkTime = 5 * time.Second

// memoryLimit is what the driver tries to stay within, beside the program itself.
const memoryLimit = 12 << 20

// options of the driver.
type options struct {
	driver    driver.Options
	check     bool
	verbosity int
}

// New returns the command "driver".
func New() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "driver",
		Short: "Mount the node's stores into pods (CSI node plugin, privileged)",
		Long:  long,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.check {
				return checkDriver(cmd.Context(), o.driver.SocketDir)
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.driver.KubeletDir, "kubelet-dir", "/var/lib/kubelet", "the kubelet's directory, at the path that the kubelet has it at")
	flags.StringVar(&o.driver.SocketDir, "socket-dir", "", "where the kubelet looks for plugins; without it plugins_registry in its directory")
	flags.StringVar(&o.driver.Base, "base", sidecar.StoreRoot, "the node's directory of stores")
	flags.StringVar(&o.driver.NodeName, "node-name", os.Getenv(sidecar.EnvNodeName), "name of the node")
	flags.BoolVar(&o.check, "check", false, "ask the driver at the socket whether it works, and end")
	flags.IntVarP(&o.verbosity, "verbosity", "v", 0, "0: what an operator acts on, 1: each volume")
	cmd.PreRun = func(*cobra.Command, []string) {
		if o.driver.SocketDir == "" {
			o.driver.SocketDir = filepath.Join(o.driver.KubeletDir, "plugins_registry")
		}
	}
	return cmd
}

func (o *options) run(ctx context.Context) error {
	// Modes are those that the driver names, but never writable by others.
	unix.Umask(0o022)
	// It is idle nearly always: memory is given back rather than kept. Many calls at once
	// have few threads at work, and are done no later.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(memoryLimit)
	o.driver.Log = logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(-o.verbosity)}))
	pods := filepath.Join(o.driver.KubeletDir, "pods")
	s := &takeover.Supervisor{Base: o.driver.Base, Log: o.driver.Log, Run: func(namespace, uid string) error {
		return runTakeover(takeover.Options{Base: o.driver.Base, Pods: pods, Namespace: namespace, UID: uid})
	}}
	o.driver.Await = s.Await
	d, err := driver.New(o.driver)
	if err != nil {
		return err
	}
	return d.Serve(ctx)
}

// checkDriver returns an error unless a driver answers at the socket.
func checkDriver(ctx context.Context, socketDir string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	transport := &http.Transport{Protocols: &http.Protocols{}, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", driver.Socket(socketDir))
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	client := csiv1connect.NewIdentityClient(&http.Client{Transport: transport}, "http://localhost", connect.WithGRPC())
	if _, err := client.Probe(ctx, connect.NewRequest(&csiv1.ProbeRequest{})); err != nil {
		return fmt.Errorf("asking the driver whether it works: %w", err)
	}
	return nil
}
