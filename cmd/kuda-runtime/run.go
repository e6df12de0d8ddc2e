// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/agent"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/inventory"
	"github.com/kuda-io/kuda/internal/delivery/localapi"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/store/remains"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	"github.com/kuda-io/kuda/internal/mounted"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/internal/source/cache"
	"github.com/kuda-io/kuda/internal/source/limit"
	"github.com/kuda-io/kuda/internal/version"
)

// recreateDirectory makes a directory without what an earlier run left in it.
func recreateDirectory(dir string) (string, error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("emptying the scratch directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the scratch directory: %w", err)
	}
	return dir, nil
}

// openStore opens the node's or the pod's store, which has these pods.
func (o *options) openStore(pods *podstate.Pods) (*store.Store, error) {
	if err := os.MkdirAll(o.root, 0o755); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(o.root, &st); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return store.Open(store.Options{Root: o.root, Quota: o.quota.Of(int64(st.Blocks) * st.Bsize), Reserve: o.reserve,
		High: o.high, Low: o.low, Needed: pods.Needed, Wanted: pods.Wanted, CompareTaken: o.hasKeeper()})
}

// hasKeeper reports whether the keeper of kuda-node looks after the store.
func (o *options) hasKeeper() bool { return o.reporter == sidecar.ReporterKeeper }

// reportsStore reports whether the runtimes say what the store holds.
func (o *options) reportsStore() bool { return o.storeMode == sidecar.StoreNode && !o.hasKeeper() }

// newEngine returns the engine, which takes over what it may of the store of an
// older release. beside may be nil.
func newEngine(o *options, st *store.Store, limits *limit.Group, beside *remains.Remains) *transfer.Engine {
	options := transfer.Options{Store: st, Connections: o.connections, Limits: limits}
	options.MaxFiles, options.Memory = maxFiles(os.DirFS("/"))
	if beside != nil {
		options.Legacy = beside.Legacy()
	}
	return transfer.New(options)
}

// closedRemains returns what an older store left beside this one, closed to others, or
// nil where there is none.
func (o *options) closedRemains() (*remains.Remains, error) {
	beside := remains.Beside(o.root, o.created)
	if beside == nil || o.hasKeeper() {
		return nil, nil //nolint:nilnil // there is none
	}
	return beside, beside.Close()
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
	log := o.newLogger()
	beside, err := o.closedRemains()
	if err != nil {
		return err
	}
	dir := podstate.Of(o.root, o.podUID)
	lock, err := dir.Lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	pods := podstate.NewPods(o.root)
	st, err := o.openStore(pods)
	if err != nil {
		return err
	}
	defer func() {
		if err := st.Close(); err != nil {
			log.Error(err, "store was not left in order")
		}
	}()
	gateway, err := uplink.New(uplink.Options{Address: o.gateway, CA: []byte(o.gatewayCA),
		CAFile: dir.GatewayCA(), TokenFile: o.token, Log: log})
	if err != nil {
		return err
	}
	defer gateway.Close()
	metrics := status.NewMetrics()
	limits := limit.NewGroup(limit.Options{Dir: filepath.Join(o.root, podstate.LimitsDir)})
	mounts := o.mounts
	if mounts.Scratch, err = recreateDirectory(dir.Scratch()); err != nil {
		return err
	}
	idle := newRest(giveBack)
	inv, err := inventory.New(inventory.Options{Store: st, Pods: pods, Report: gateway.ReportStore, Idle: idle.scheduleCall, Log: log})
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Options{
		Dir: dir, DataSets: splitList(o.dataSets), WaitFor: splitList(o.waitFor), Version: version.Version, Gateway: gateway, Store: st,
		Engine: newEngine(o, st, limits, beside), Sources: sourceconfig.Opener{Mounts: mounts, Limits: limits, Caches: cache.NewGroup()},
		Idle: idle.scheduleCall, Connected: inv.Connected, Metrics: metrics, Log: log,
	})
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := metrics.Register(registry, a.State); err != nil {
		return err
	}
	listener, err := localapi.Listen(ctx, o.port)
	if err != nil {
		return err
	}
	log.Info("started", "version", version.Version, "gateway", o.gateway, "waitFor", o.waitFor)
	work := []func(context.Context) error{a.Run, func(ctx context.Context) error {
		mounted.WatchAll(ctx, []string{mounts.Secrets, mounts.CAs, mounts.Identities}, a.MountsChanged)
		return nil
	}}
	if o.reportsStore() {
		work = append(work, inv.Run)
	}
	if beside != nil {
		work = append(work, func(ctx context.Context) error { return beside.Run(ctx, log) })
	}
	err = serveAPI(ctx, localapi.NewServer(listener, a, registry), work...)
	if err == nil {
		err = dir.End()
	}
	log.Info("ended")
	return err
}

// serveAPI serves the local API and does the work, all until the context ends or
// the API does.
func serveAPI(ctx context.Context, api *localapi.Server, work ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- api.Serve()
		cancel()
	}()
	ended := make(chan error, len(work))
	for _, f := range work {
		go func() { ended <- f(ctx) }()
	}
	var err error
	for range work {
		if workErr := <-ended; workErr != nil {
			err = errors.Join(err, workErr)
			cancel()
		}
	}
	_ = api.Close()
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving the local API: %w", serveErr))
	}
	return err
}
