// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// turnName is the lock, in the store, of the one who reports.
const turnName = "inventory"

// Options of an Inventory. Store, Pods and Report are required.
type Options struct {
	Store *store.Store
	// Pods of the same store.
	Pods *podstate.Pods
	// Report sends a report, such as uplink.Client.ReportStore; its errors have
	// codes of package connect.
	Report func(context.Context, *gatewayv1alpha1.ReportStoreRequest) error
	// Idle is called some time after it was looked, when there is nothing more to
	// do. It may be nil.
	Idle func()
	// Pace is how often what is done; the zero value of each has a default.
	Pace Pace
	Log  logr.Logger
}

// Pace is how often an Inventory does what.
type Pace struct {
	// Elect is how often a process that does not report checks whether another one
	// does, and how often the reporting process looks at downloads. Default: 5 s.
	Elect time.Duration
	// Settle is how long after a change it is looked, so that changes in a row are
	// one. Default: 200 ms.
	Settle time.Duration
	// Look is how often it is looked when no change is told. Default: 1 min.
	Look time.Duration
	// Repeat is how often the same is reported again. Default: 5 min.
	Repeat time.Duration
	// Apart is the shortest time between two reports. Default: 1 s.
	Apart time.Duration
	// Rest is how long after a look there is nothing more to do. Default: 3 s.
	Rest time.Duration
}

func (p Pace) withDefaults() Pace {
	for _, d := range []struct {
		value *time.Duration
		is    time.Duration
	}{
		{&p.Elect, 5 * time.Second}, {&p.Settle, 200 * time.Millisecond}, {&p.Look, time.Minute},
		{&p.Repeat, 5 * time.Minute}, {&p.Apart, time.Second}, {&p.Rest, 3 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.is
		}
	}
	return p
}

// Inventory reports what a store holds, or waits to do it.
type Inventory struct {
	store  *store.Store
	pods   *podstate.Pods
	report func(context.Context, *gatewayv1alpha1.ReportStoreRequest) error
	pace   Pace
	log    logr.Logger
	idle   func()
	// looked is called after each look; tests set it.
	looked func()

	wake      chan struct{}
	mu        sync.Mutex
	connected bool
	// connects counts the times that the gateway was reached.
	connects int
}

// New returns an Inventory; it starts nothing.
func New(o Options) (*Inventory, error) {
	if o.Store == nil || o.Pods == nil || o.Report == nil {
		return nil, errors.New("inventory: Store, Pods and Report are required")
	}
	if o.Idle == nil {
		o.Idle = func() {}
	}
	return &Inventory{store: o.Store, pods: o.Pods, report: o.Report, pace: o.Pace.withDefaults(), log: o.Log,
		idle: o.Idle, looked: func() {}, wake: make(chan struct{}, 1)}, nil
}

// Connected says that the gateway was reached, or that it no longer is. Who
// listens now may not have heard anything yet.
func (i *Inventory) Connected(yes bool) {
	i.mu.Lock()
	i.connected = yes
	if yes {
		i.connects++
	}
	i.mu.Unlock()
	if yes {
		select {
		case i.wake <- struct{}{}:
		default:
		}
	}
}

func (i *Inventory) connectionState() (connected bool, connects int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.connected, i.connects
}

// Run reports, or waits for its turn, until the context ends or the store is gone.
func (i *Inventory) Run(ctx context.Context) error {
	mine := false
	for ctx.Err() == nil {
		turn, err := i.store.TakeTurn(turnName)
		switch {
		case errors.Is(err, store.ErrGone):
			i.log.Info("the store was deleted; start the pods of the namespace on this node again", "reason", err.Error())
			if mine {
				i.sayGone(ctx)
			}
			return nil
		case err != nil:
			i.log.V(1).Info("whether another runtime reports the store is not known", "reason", err.Error())
		case turn != nil:
			mine = true
			newReporter(i, turn).run(ctx)
			turn.Close()
			continue
		default:
			mine = false
		}
		// Waiters that began together must not stay in step.
		t := time.NewTimer(i.pace.Elect - rand.N(i.pace.Elect/4+1))
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// sayGone says that nothing is left of the store that this process reported. It is
// said once or not at all: the next pod of the namespace gets a store of its own,
// and reports that.
func (i *Inventory) sayGone(ctx context.Context) {
	connected, _ := i.connectionState()
	if stock, err := i.store.Stock(); connected && errors.Is(err, store.ErrGone) {
		_ = i.report(ctx, NewReport(stock, nil, nil))
	}
}
