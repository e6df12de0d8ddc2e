// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/filelock"
)

const (
	// lockName is the lock, in the base, of the keeper that works. Another one, of an
	// update, waits for it.
	lockName = ".keeper.lock"
	// leisure is how many times longer than a look the pause before the next one is, at
	// most maxLeisure: stores with thousands of snapshots must not keep a processor busy,
	// and who makes changes all the time must not keep a look away.
	leisure    = 10
	maxLeisure = 5 * time.Second
	// lookRetry is the pause after a look that the machine had too little for.
	lookRetry = 5 * time.Second
	// stuckAfter is how long a look may take before the keeper counts as stuck.
	stuckAfter = 10 * time.Minute
)

// Keeper looks after the stores of a node.
type Keeper struct {
	options  Options
	census   *census.Census
	life     *life
	gateway  *listener
	reporter *reporter
	verifier *verifier
	sweeper  *sweeper

	wake chan struct{}
	// lookBegan is when the look that is on its way began, in nanoseconds; 0: none is.
	lookBegan atomic.Int64
	// looked is called after each look; tests set it.
	looked func([]*census.Store)
}

// New returns a keeper; it starts nothing.
func New(o Options) (*Keeper, error) {
	if err := o.completeAndValidate(); err != nil {
		return nil, err
	}
	k := &Keeper{options: o, wake: make(chan struct{}, 1), looked: func([]*census.Store) {}}
	k.life = newLife(o)
	k.census = census.New(census.Options{Alive: k.life.mayLive, Now: o.Now})
	k.reporter = newReporter(o)
	k.gateway = newListener(o, k.reporter.setConnected, k.signalChange)
	k.sweeper = newSweeper(o)
	k.verifier = newVerifier(o, k.reporter.addDamage, k.signalChange)
	k.reporter.verified = k.verifier.verifiedBy
	return k, nil
}

// signalChange has the stores looked at soon.
func (k *Keeper) signalChange() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Healthy returns an error when the keeper does not get on.
func (k *Keeper) Healthy() error {
	began := k.lookBegan.Load()
	if took := k.options.Now().Sub(time.Unix(0, began)); began != 0 && took > stuckAfter {
		return fmt.Errorf("looking at the stores takes %s already", took.Round(time.Second))
	}
	return nil
}

// Run looks after the stores until the context ends. While another keeper of the node runs,
// it waits.
func (k *Keeper) Run(ctx context.Context) error {
	base, err := k.openBase(ctx)
	if err != nil {
		return endOr(ctx, err)
	}
	defer base.Close()
	lock, err := k.awaitTurn(ctx, base)
	if err != nil {
		return endOr(ctx, err)
	}
	defer lock.Release()
	k.options.Log.Info("looks after the stores of the node", "directory", k.options.Base)
	k.sweeper.base, k.verifier.base = base, base
	k.verifier.state.load(base)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := []func(context.Context) error{
		func(ctx context.Context) error { return k.options.Table.Watch(ctx, k.signalChange) },
		func(ctx context.Context) error { k.gateway.run(ctx); return nil },
		func(ctx context.Context) error { k.reporter.run(ctx); return nil },
		func(ctx context.Context) error { k.sweeper.run(ctx); return nil },
		func(ctx context.Context) error { k.verifier.run(ctx); return nil },
		func(ctx context.Context) error { return k.loop(ctx, base) },
	}
	var wg sync.WaitGroup
	errs := make([]error, len(work))
	for i, f := range work {
		wg.Go(func() {
			defer cancel()
			errs[i] = f(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// endOr returns no error when the end of the context is the reason.
func endOr(ctx context.Context, err error) error {
	if errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

// openBase opens the directory of the stores, which the driver may be about to make.
func (k *Keeper) openBase(ctx context.Context) (*confined.Dir, error) {
	for logged := false; ; logged = true {
		base, err := confined.Open(k.options.Base)
		if err == nil {
			return base, nil
		}
		if !logged {
			k.options.Log.Info("waits for the directory of the stores, which the driver of kuda-node makes", "reason", err.Error())
		}
		if err := backoff.Sleep(ctx, k.options.Pace.Standby); err != nil {
			return nil, fmt.Errorf("waiting for the directory of the stores: %w", err)
		}
	}
}

func (k *Keeper) awaitTurn(ctx context.Context, base *confined.Dir) (*confined.Lock, error) {
	for logged := false; ; logged = true {
		lock, err := base.TryLock(lockName)
		if err == nil {
			return lock, nil
		}
		// The kubelet makes a directory that is missing, as root; then the driver gives it
		// its owner.
		if !errors.Is(err, filelock.ErrHeld) && !errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("taking the keeper's turn: %w", err)
		}
		if !logged {
			k.options.Log.Info("waits for another keeper of the node to end, or for the driver to make the directory of the stores",
				"reason", err.Error())
		}
		if err := backoff.Sleep(ctx, k.options.Pace.Standby); err != nil {
			return nil, fmt.Errorf("waiting for another keeper to end: %w", err)
		}
	}
}

// loop looks at the stores when something changed.
func (k *Keeper) loop(ctx context.Context, base *confined.Dir) error {
	changes := newChanges(k.signalChange)
	defer changes.close()
	due := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var took time.Duration
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
			if soon := time.Now().Add(max(k.options.Pace.Settle, min(leisure*took, maxLeisure))); soon.Before(due) {
				due = soon
			}
		case <-timer.C:
			started := time.Now()
			k.lookBegan.Store(k.options.Now().UnixNano())
			err := k.look(ctx, base, changes)
			k.lookBegan.Store(0)
			took = time.Since(started)
			k.options.Metrics.observeLook(took, err)
			due = time.Now().Add(k.options.Pace.Look)
			if errors.Is(err, errBaseGone) {
				return err
			}
			if err != nil && ctx.Err() == nil {
				k.options.Log.Error(err, "the stores were not looked at")
				due = time.Now().Add(min(lookRetry, k.options.Pace.Look))
			}
		}
		timer.Reset(time.Until(due))
	}
}
