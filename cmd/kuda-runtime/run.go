// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/agent"
	"github.com/kuda-io/kuda/internal/delivery/localapi"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/store/podref"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	"github.com/kuda-io/kuda/internal/source/limit"
	"github.com/kuda-io/kuda/internal/version"
)

// Names below the store's root, and below the pod's directory.
const (
	// limitsDir is where the runtimes of a node share the connections to a source.
	limitsDir  = "limits"
	scratchDir = "scratch"
)

// emptied makes a directory without what an earlier run left in it.
func emptied(dir string) (string, error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("emptying the scratch directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the scratch directory: %w", err)
	}
	return dir, nil
}

// openStore opens the node's or the pod's store.
func (o *options) openStore() (*store.Store, error) {
	if err := os.MkdirAll(o.root, 0o755); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(o.root, &st); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return store.Open(store.Options{Root: o.root, Quota: o.quota.Of(int64(st.Blocks) * st.Bsize), Reserve: o.reserve,
		High: o.high, Low: o.low, Needed: podref.New(o.root).Needed})
}

// run is the sidecar.
func (o *options) run(ctx context.Context) error {
	if err := o.validate(); err != nil {
		return err
	}
	// The application's user is another one than the runtime's.
	unix.Umask(0o022)
	// A sidecar is idle nearly always: memory is given back rather than kept.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(o.memory)
	log := o.logger()
	dir := o.podDir(agent.PodsDir)
	lock, err := agent.LockPod(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	st, err := o.openStore()
	if err != nil {
		return err
	}
	defer func() {
		if err := st.Close(); err != nil {
			log.Error(err, "store was not left in order")
		}
	}()
	gateway, err := uplink.New(uplink.Options{Address: o.gateway, CA: []byte(o.gatewayCA),
		CAFile: filepath.Join(dir, "gateway-ca.pem"), TokenFile: o.token, Log: log})
	if err != nil {
		return err
	}
	defer gateway.Close()
	metrics := agent.NewMetrics()
	limits := limit.NewGroup(limit.Options{Dir: filepath.Join(o.root, limitsDir)})
	mounts := o.mounts
	if mounts.Scratch, err = emptied(filepath.Join(dir, scratchDir)); err != nil {
		return err
	}
	a, err := agent.New(agent.Options{
		Dir: dir, DataSets: list(o.dataSets), WaitFor: list(o.waitFor), Version: version.Version, Gateway: gateway, Store: st,
		Engine: transfer.New(transfer.Options{Store: st, Connections: o.connections, Limits: limits}), Limits: limits,
		Mounts: mounts, Idle: giveBack, Metrics: metrics, Log: log,
	})
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := metrics.Register(registry, a); err != nil {
		return err
	}
	server := &http.Server{
		Handler:           localapi.NewHandler(a, registry),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	// All addresses: the kubelet's probes come by the pod's own.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(o.port)))
	if err != nil {
		return fmt.Errorf("opening the local API: %w", err)
	}
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		served <- server.Serve(listener)
		cancel()
	}()
	log.Info("started", "version", version.Version, "gateway", o.gateway, "waitFor", o.waitFor)
	err = a.Run(ctx)
	_ = server.Close()
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving the local API: %w", serveErr))
	}
	if err == nil {
		err = agent.EndPod(dir)
	}
	log.Info("ended")
	return err
}
