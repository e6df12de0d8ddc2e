// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/agent/plan"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/agent/worker"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
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

// Options of an Agent. Dir, Gateway, Engine and Store are required.
type Options struct {
	// Dir is the pod's own directory below the store's root; the view is in it.
	Dir podstate.Dir
	// DataSets matched the pod at admission; the start waits for WaitFor.
	DataSets, WaitFor []string
	// Version of the runtime.
	Version string
	Gateway Gateway
	Engine  worker.Engine
	Store   *store.Store
	// Sources opens sources, and tells Engine their limits.
	Sources sourceconfig.Opener
	// Hooks is how patient hooks are.
	Hooks hook.Policy
	// Retry says how long to wait after that many failures with a reason.
	Retry func(reason string, failures int) time.Duration
	// Idle is called when a delivery is complete.
	Idle func()
	// Connected is called when the gateway is reached, and when it no longer is.
	Connected func(bool)
	Metrics   *status.Metrics
	Log       logr.Logger
}

// Agent keeps a pod's data.
type Agent struct {
	options  Options
	env      worker.Env
	reporter *uplink.Reporter
	collect  chan struct{}
	// ctx ends with Run.
	ctx context.Context

	mu        sync.Mutex
	workers   map[string]*worker.Worker
	desired   *gatewayv1alpha1.WatchResponse
	connected bool
	// unreached says why the gateway is not reached; "": it is, or nothing is known.
	unreached string
	changed   chan struct{}
	// doubtful are the DataSets that are not to be used yet; see doubtfulSnapshots.
	// The map is replaced and never written to.
	doubtful map[string][]snapshot.ID
}

// New opens the pod's directory and repairs its view; it starts nothing.
func New(o Options) (*Agent, error) {
	if o.Dir == "" || o.Gateway == nil || o.Engine == nil || o.Store == nil {
		return nil, errors.New("agent: Dir, Gateway, Engine and Store are required")
	}
	if err := o.Dir.Create(); err != nil {
		return nil, err
	}
	v, err := view.Open(o.Dir.View(), view.Options{Note: func(text string) { o.Log.Info(text) }})
	if err != nil {
		return nil, err
	}
	// The kubelet makes a missing directory of a mount with the mode of the volume.
	if err := os.Chmod(o.Dir.View(), 0o755); err != nil { // for the application, whose user is another
		return nil, fmt.Errorf("opening the view to the application: %w", err)
	}
	if o.Retry == nil {
		o.Retry = status.RetryPause
	}
	if o.Metrics == nil {
		o.Metrics = status.NewMetrics()
	}
	if o.Idle == nil {
		o.Idle = func() {}
	}
	a := &Agent{
		options: o, reporter: uplink.NewReporter(o.Gateway.Report, o.Log), collect: make(chan struct{}, 1),
		workers: map[string]*worker.Worker{}, changed: make(chan struct{}),
	}
	a.env = worker.Env{
		Dir: o.Dir, Pods: podstate.NewPods(o.Store.Root()), View: v, Store: o.Store, Engine: o.Engine, Sources: &o.Sources,
		Gateway: o.Gateway, Hooks: o.Hooks, Retry: o.Retry, Metrics: o.Metrics, Log: o.Log,
		Report: a.reporter.Put, Changed: a.notifyChanged, Verified: a.clearDoubt, MakeWay: a.giveWay, Tidy: a.collectSoon, Idle: o.Idle,
		Gate: worker.NewGate(),
	}
	a.doubtful = a.doubtfulSnapshots()
	return a, nil
}

// Run keeps the pod's data until the context ends.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.ctx = ctx
	remembered, err := a.env.Dir.LoadDesired()
	if err != nil {
		a.env.Log.Error(err, "waiting for the gateway to say it again")
	}
	young, err := a.env.Dir.CountStart()
	if err != nil {
		a.env.Log.Error(err, "the start was not counted")
	}
	if young > youngStarts && remembered != nil {
		a.env.Log.Info("asks the gateway before it goes on with what is remembered, because it died soon after its last starts",
			"starts", young, "within", settledAfter.String())
		remembered = nil
	}
	if remembered != nil {
		a.env.Log.Info("goes on with what is remembered", "assignments", len(remembered.GetAssignments()))
		a.applyAssignments(remembered)
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.reporter.Run(ctx) })
	wg.Go(func() { a.collectLoop(ctx) })
	wg.Go(func() { a.settleStart(ctx) })
	wg.Go(func() { a.settleDoubts(ctx) })
	wg.Go(func() { a.env.Store.WatchDoubts(ctx, a.checkSnapshots) })
	req := &gatewayv1alpha1.WatchRequest{RuntimeVersion: a.options.Version, Datasets: a.options.DataSets}
	a.options.Gateway.Watch(ctx, req, a)
	cancel()
	wg.Wait()
	for _, w := range a.currentWorkers() {
		w.Wait()
	}
	return nil
}

// Desired implements uplink.Handler.
func (a *Agent) Desired(m *gatewayv1alpha1.WatchResponse) {
	a.mu.Lock()
	same := proto.Equal(a.desired, m)
	a.mu.Unlock()
	if !same {
		if err := a.env.Dir.SaveDesired(m); err != nil {
			a.env.Log.Error(err, "desired state was not remembered")
		}
	}
	if err := a.forgetPreheats(m); err != nil {
		a.env.Log.Error(err, "what is no longer to be preheated was not forgotten")
	}
	a.applyAssignments(m)
}

// Connected implements uplink.Handler.
func (a *Agent) Connected(yes bool) {
	a.mu.Lock()
	a.connected, a.unreached = yes, ""
	a.mu.Unlock()
	a.env.Metrics.SetConnected(yes)
	if yes {
		a.reporter.Resend()
	}
	if a.options.Connected != nil {
		a.options.Connected(yes)
	}
	a.notifyChanged()
}

// Unreached implements uplink.Handler.
func (a *Agent) Unreached(err error) {
	a.mu.Lock()
	same := a.unreached == err.Error()
	a.unreached = err.Error()
	a.mu.Unlock()
	if !same {
		a.notifyChanged()
	}
}

// applyAssignments hands each assignment to its worker, and ends the workers of those
// that are no longer assigned; what they have put into the view stays.
func (a *Agent) applyAssignments(m *gatewayv1alpha1.WatchResponse) {
	wanted := map[string]*gatewayv1alpha1.Assignment{}
	for _, as := range m.GetAssignments() {
		if !podstate.ValidDataSet(as.GetDataset()) {
			a.env.Log.Info("assignment ignored: its DataSet's name cannot be used", "dataset", as.GetDataset())
			continue
		}
		wanted[as.GetDataset()] = as
	}
	a.mu.Lock()
	a.desired = m
	var ended []*worker.Worker
	for name, w := range a.workers {
		if wanted[name] == nil {
			ended = append(ended, w)
			delete(a.workers, name)
		}
	}
	a.mu.Unlock()
	for _, w := range ended {
		w.Stop()
		a.reporter.Forget(w.Data())
	}
	a.forgetPrefetches(wanted)
	conflicts := plan.FindConflicts(m.GetAssignments())
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
		w = worker.New(a.ctx, &a.env, name)
		a.workers[name] = w
	}
	a.mu.Unlock()
	if old := w.Assignment(); !fresh && old.GetData() != as.GetData() {
		a.reporter.Forget(old.GetData())
	}
	w.SetAssignment(as, conflict)
	if fresh {
		go w.Run()
	}
}

// forgetPrefetches forgets what was prefetched of DataSets that are no longer
// assigned.
func (a *Agent) forgetPrefetches(wanted map[string]*gatewayv1alpha1.Assignment) {
	if err := a.env.Dir.ForgetPrefetched(func(dataset string) bool { return wanted[dataset] != nil }); err != nil {
		a.env.Log.Error(err, "what was prefetched was not forgotten")
	}
}

// giveWay lets go of everything that is prefetched.
func (a *Agent) giveWay() {
	for _, w := range a.currentWorkers() {
		w.MakeWay()
	}
}

// MountsChanged is to be called when a Secret, a ConfigMap or a token that is mounted
// into the runtime has changed: what failed is tried now.
func (a *Agent) MountsChanged() {
	a.env.Log.Info("what is mounted has changed; what failed is tried now")
	for _, w := range a.currentWorkers() {
		w.MountsChanged()
	}
}

func (a *Agent) currentWorkers() []*worker.Worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.workers))
}

// collectSoon has the view tidied.
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
		next, err := a.env.View.Collect()
		if err != nil {
			a.env.Log.Error(err, "old trees were not removed")
		}
		wait = collectInterval
		if next > 0 {
			wait = next
		}
	}
}

// collectGarbage removes unused content, and what deleted pods left behind.
func (a *Agent) collectGarbage() {
	if err := a.env.Dir.ReapOthers(time.Now()); err != nil {
		a.env.Log.Error(err, "pods that are gone were not removed")
	}
	if err := a.env.Store.Collect(); err != nil {
		a.env.Log.Error(err, "store was not tidied")
	}
}
