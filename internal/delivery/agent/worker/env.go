// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Engine brings items into the store; transfer.Engine is one.
type Engine interface {
	Deliver(ctx context.Context, r transfer.Request) (*transfer.Result, error)
	FillCache(ctx context.Context, r transfer.Request, progress func(held, total int64)) (*transfer.Fill, error)
}

// HookRunner runs exec hooks; its errors have codes of package connect.
type HookRunner interface {
	RunHook(ctx context.Context, req *gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error)
}

// View is the part of a view that is used; view.View is one.
type View interface {
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

// Env is what the workers of a pod share.
type Env struct {
	Dir     podstate.Dir
	Pods    *podstate.Pods
	View    View
	Store   *store.Store
	Engine  Engine
	Sources *sourceconfig.Opener
	Gateway HookRunner
	Hooks   hook.Policy
	// Retry says how long to wait after that many failures with a reason.
	Retry   func(reason string, failures int) time.Duration
	Metrics *status.Metrics
	Log     logr.Logger

	// Report gets what is new; urgent, if it is more than that bytes came.
	Report func(r *gatewayv1alpha1.ReportRequest, urgent bool)
	// Changed is called after each change of a worker's status.
	Changed func()
	// Verified is called when a DataSet's snapshots are beyond doubt.
	Verified func(dataset string)
	// MakeWay is called when the present has no room beside what is prefetched.
	MakeWay func()
	// Tidy is called when something in the view or the store is not needed any more, and
	// Idle when there is nothing left to do for a revision.
	Tidy, Idle func()

	// Gate keeps prefetches out of the way.
	Gate *Gate
}

// deliverItem brings an item into the store, under its mark, and counts what comes
// from the source, also of a try that fails.
func (e *Env) deliverItem(ctx context.Context, r transfer.Request, mark string) (*transfer.Result, error) {
	// Before there is a byte: who looks for the mark learns of the download.
	e.markSnapshot(r.Key.ID(), mark)
	var received int64
	progress := r.Progress
	r.Progress = func(p transfer.Progress) {
		received = max(received, p.Received)
		progress(p)
	}
	res, err := e.Engine.Deliver(ctx, r)
	if err == nil {
		received = res.Received
		e.markSnapshot(res.Lease.ID(), mark) // an eviction may have taken it since
	}
	e.Metrics.CountReceived(received)
	return res, err
}

// markSnapshot says what an item calls a snapshot's bytes. Without it pods are not placed
// by them, but the delivery goes on.
func (e *Env) markSnapshot(id snapshot.ID, mark string) {
	if err := e.Store.Mark(id, mark); err != nil {
		e.Log.V(1).Info("placement does not know of the data here", "snapshot", id, "reason", err.Error())
	}
}
