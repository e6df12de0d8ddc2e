// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/all"
	"github.com/kuda-io/kuda/internal/source/limit"
)

// Gateway is what the agent needs of the gateway; uplink.Client is one.
type Gateway interface {
	// Watch tells the handler what the pod is to have until the context ends.
	Watch(ctx context.Context, req *gatewayv1alpha1.WatchRequest, h uplink.Handler)
	// Report says what it has.
	Report(ctx context.Context, req *gatewayv1alpha1.ReportRequest) error
	// RunHook runs an exec hook; its errors have codes of package connect.
	RunHook(ctx context.Context, req *gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error)
}

// Engine brings items into the store; transfer.Engine is one.
type Engine interface {
	Deliver(ctx context.Context, r transfer.Request) (*transfer.Result, error)
}

// Options of an Agent. Dir, Gateway, Engine and Store are required.
type Options struct {
	// Dir is the pod's own directory below the store's root; the view is in it.
	Dir string
	// DataSets matched the pod at admission; the start waits for WaitFor.
	DataSets, WaitFor []string
	// Version of the runtime.
	Version string
	Gateway Gateway
	Engine  Engine
	Store   *store.Store
	// Mounts says where what sources refer to is mounted.
	Mounts Mounts
	// Limits of the sources, which Engine keeps; nil for none.
	Limits *limit.Group
	// Open opens a source. Default: all.Open.
	Open func(context.Context, all.Config) (source.Driver, error)
	// Hooks is how patient hooks are.
	Hooks hook.Policy
	// Retry says how long to wait after that many failures with a reason.
	Retry func(reason string, failures int) time.Duration
	// Idle is called when a delivery is complete.
	Idle func()
	// Connected is called when the gateway is reached, and when it no longer is.
	Connected func(bool)
	Metrics   *Metrics
	Log       logr.Logger
}

// Agent keeps a pod's data.
type Agent struct {
	dir     string
	options Options
	gateway Gateway
	engine  Engine
	store   *store.Store
	open    func(context.Context, all.Config) (source.Driver, error)
	mounts  Mounts
	limits  *limit.Group
	hooks   hook.Policy
	retry   func(string, int) time.Duration
	metrics *Metrics
	log     logr.Logger

	view     viewer
	reporter *uplink.Reporter
	gate     *gate
	collect  chan struct{}
	// ctx ends with Run.
	ctx context.Context

	mu        sync.Mutex
	workers   map[string]*worker
	desired   *gatewayv1alpha1.WatchResponse
	connected bool
	changed   chan struct{}
	// doubtful are the DataSets that are not to be used yet; see doubtfulSnapshots.
	// The map is replaced and never written to.
	doubtful map[string][]store.ID
}

// viewer is the part of a view that the agent uses.
type viewer interface {
	Prepare(dataset, revision string, items []view.Item) error
	Keep(ctx context.Context, dataset, revision string, items []view.Item) error
	Unkeep(dataset string)
	Switch(dataset, revision string) error
	Replace(dataset, revision string) error
	Revert(dataset string) (string, error)
	Remove(dataset string) error
	Check(dataset string, items []view.Item) error
	Suspect(dataset string)
	Current(dataset string) (string, bool)
	Previous(dataset string) (string, bool)
	DataSets() []string
	Collect() (time.Duration, error)
}

// ViewDir is the view below a pod's directory.
const ViewDir = "view"

const (
	datasetsDir = "datasets"
	prefetchDir = "prefetch"
)

// New opens the pod's directory and repairs its view; it starts nothing.
func New(o Options) (*Agent, error) {
	if o.Dir == "" || o.Gateway == nil || o.Engine == nil || o.Store == nil {
		return nil, errors.New("agent: Dir, Gateway, Engine and Store are required")
	}
	for _, dir := range []string{datasetsDir, prefetchDir} {
		if err := os.MkdirAll(filepath.Join(o.Dir, dir), 0o755); err != nil {
			return nil, fmt.Errorf("making the pod's directory: %w", err)
		}
	}
	v, err := view.Open(filepath.Join(o.Dir, ViewDir), view.Options{Note: func(text string) { o.Log.Info(text) }})
	if err != nil {
		return nil, err
	}
	// The kubelet makes a missing directory of a mount with the mode of the volume.
	if err := os.Chmod(filepath.Join(o.Dir, ViewDir), 0o755); err != nil { // for the application, whose user is another
		return nil, fmt.Errorf("opening the view to the application: %w", err)
	}
	a := &Agent{
		dir: o.Dir, options: o, gateway: o.Gateway, engine: o.Engine, store: o.Store, open: o.Open,
		mounts: o.Mounts, limits: o.Limits, hooks: o.Hooks, retry: o.Retry, metrics: o.Metrics,
		log: o.Log, view: v, gate: newGate(), collect: make(chan struct{}, 1), workers: map[string]*worker{}, changed: make(chan struct{}),
	}
	if a.open == nil {
		a.open = all.Open
	}
	if a.retry == nil {
		a.retry = retryPause
	}
	if a.limits == nil {
		a.limits = limit.NewGroup(limit.Options{})
	}
	if a.metrics == nil {
		a.metrics = NewMetrics()
	}
	a.reporter = uplink.NewReporter(o.Gateway.Report, o.Log)
	a.doubtful = a.doubtfulSnapshots()
	return a, nil
}

func (a *Agent) recordDir() string { return filepath.Join(a.dir, datasetsDir) }

// Run keeps the pod's data until the context ends.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.ctx = ctx
	remembered, err := loadDesired(a.dir)
	if err != nil {
		a.log.Error(err, "waiting for the gateway to say it again")
	}
	young, err := countStart(a.dir)
	if err != nil {
		a.log.Error(err, "the start was not counted")
	}
	if young > youngStarts && remembered != nil {
		a.log.Info("asks the gateway before it goes on with what is remembered, because it died soon after its last starts",
			"starts", young, "within", settledAfter.String())
		remembered = nil
	}
	if remembered != nil {
		a.log.Info("goes on with what is remembered", "assignments", len(remembered.GetAssignments()))
		a.applyAssignments(remembered)
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.reporter.Run(ctx) })
	wg.Go(func() { a.collectLoop(ctx) })
	wg.Go(func() { a.settleStart(ctx) })
	wg.Go(func() { a.settleDoubts(ctx) })
	req := &gatewayv1alpha1.WatchRequest{RuntimeVersion: a.options.Version, Datasets: a.options.DataSets}
	a.gateway.Watch(ctx, req, a)
	cancel()
	wg.Wait()
	a.mu.Lock()
	workers := slices.Collect(maps.Values(a.workers))
	a.mu.Unlock()
	for _, w := range workers {
		<-w.done
	}
	return nil
}

// Desired implements uplink.Handler.
func (a *Agent) Desired(m *gatewayv1alpha1.WatchResponse) {
	a.mu.Lock()
	same := proto.Equal(a.desired, m)
	a.mu.Unlock()
	if !same {
		if err := saveDesired(a.dir, m); err != nil {
			a.log.Error(err, "desired state was not remembered")
		}
	}
	if err := a.forgetPreheats(m); err != nil {
		a.log.Error(err, "what is no longer to be preheated was not forgotten")
	}
	a.applyAssignments(m)
}

// Connected implements uplink.Handler.
func (a *Agent) Connected(yes bool) {
	a.mu.Lock()
	a.connected = yes
	a.mu.Unlock()
	a.metrics.setConnected(yes)
	if yes {
		a.reporter.Resend()
	}
	if a.options.Connected != nil {
		a.options.Connected(yes)
	}
	a.notifyChanged()
}

// applyAssignments hands each assignment to its worker, and ends the workers of those
// that are no longer assigned; what they have put into the view stays.
func (a *Agent) applyAssignments(m *gatewayv1alpha1.WatchResponse) {
	wanted := map[string]*gatewayv1alpha1.Assignment{}
	for _, as := range m.GetAssignments() {
		if !fileName(as.GetDataset()) {
			a.log.Info("assignment ignored: its DataSet's name cannot be used", "dataset", as.GetDataset())
			continue
		}
		wanted[as.GetDataset()] = as
	}
	a.mu.Lock()
	a.desired = m
	var ended []*worker
	for name, w := range a.workers {
		if wanted[name] == nil {
			ended = append(ended, w)
			delete(a.workers, name)
		}
	}
	a.mu.Unlock()
	for _, w := range ended {
		w.stopAndWait()
		a.reporter.Forget(w.data)
		w.log.Info("no longer assigned; the data stays")
	}
	a.forgetPrefetches(wanted)
	conflicts := findConflicts(m.GetAssignments())
	for name, as := range wanted {
		a.assignWorker(name, as, conflicts[name])
	}
	a.notifyChanged()
}

func (a *Agent) assignWorker(name string, as *gatewayv1alpha1.Assignment, conflict *view.PathConflictError) {
	a.mu.Lock()
	w := a.workers[name]
	fresh := w == nil
	if fresh {
		w = newWorker(a.ctx, a, name)
		a.workers[name] = w
	}
	a.mu.Unlock()
	if old := w.currentAssignment(); !fresh && old.GetData() != as.GetData() {
		a.reporter.Forget(old.GetData())
	}
	w.setAssignment(as, conflict)
	if fresh {
		go w.run(w.ctx)
	}
}

// forgetPrefetches forgets what was prefetched of DataSets that are no longer
// assigned.
func (a *Agent) forgetPrefetches(wanted map[string]*gatewayv1alpha1.Assignment) {
	entries, err := os.ReadDir(a.prefetchDir())
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), recordSuffix); wanted[name] == nil {
			err = errors.Join(err, atomicfile.Remove(filepath.Join(a.prefetchDir(), e.Name())))
		}
	}
	if err != nil {
		a.log.Error(err, "what was prefetched was not forgotten")
	}
}

// giveWay lets go of everything that is prefetched.
func (a *Agent) giveWay() {
	a.mu.Lock()
	workers := slices.Collect(maps.Values(a.workers))
	a.mu.Unlock()
	for _, w := range workers {
		w.prefetch.giveWay(w.ctx)
	}
}

// handleDelivered is called by workers when a revision is complete.
func (a *Agent) handleDelivered() {
	a.collectSoon()
	if a.options.Idle != nil {
		a.options.Idle()
	}
}

func (a *Agent) collectSoon() {
	select {
	case a.collect <- struct{}{}:
	default:
	}
}

// collectInterval is how often the store is tidied when nothing happens.
const collectInterval = time.Hour

// collectLoop removes trees whose grace period has passed, and unused content
// of the store.
func (a *Agent) collectLoop(ctx context.Context) {
	wait := time.Minute
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-a.collect:
		case <-t.C:
			a.collectGarbage()
		}
		t.Stop()
		next, err := a.view.Collect()
		if err != nil {
			a.log.Error(err, "old trees were not removed")
		}
		wait = collectInterval
		if next > 0 {
			wait = next
		}
	}
}

// collectGarbage removes unused content, and what deleted pods left behind.
func (a *Agent) collectGarbage() {
	pods, self := filepath.Split(filepath.Clean(a.dir))
	if err := reapPods(pods, self, time.Now()); err != nil {
		a.log.Error(err, "pods that are gone were not removed")
	}
	if err := a.store.Collect(); err != nil {
		a.log.Error(err, "store was not tidied")
	}
}
