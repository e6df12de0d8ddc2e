// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// look is how often a list is made, and published if it is another one.
	look = time.Second
	// writeTimeout bounds one write, and retryAfter is the pause after one that failed.
	writeTimeout = 5 * time.Second
	retryAfter   = 5 * time.Second
)

// Publisher writes the list of one replica into its Lease. It is a runnable of a
// manager. All fields are needed.
type Publisher struct {
	Book *Book
	// Client reads and writes without a cache.
	Client client.Client
	// Namespace is where the Lease is; Replica names it.
	Namespace, Replica string
	Clock              clock.WithTicker
	Log                logr.Logger

	lease *coordinationv1.Lease
	last  List
	at    time.Time
	// failing says that the last write failed, which is logged once; retry is when to
	// try again.
	failing bool
	retry   time.Time
}

// NeedLeaderElection reports whether only the leader publishes: every replica does.
func (p *Publisher) NeedLeaderElection() bool { return false }

// Start publishes until the context ends. The Lease stays: what it says counts until
// the runtimes have gone to another replica.
func (p *Publisher) Start(ctx context.Context) error {
	tick := p.Clock.NewTicker(look)
	defer tick.Stop()
	for {
		p.publishList(ctx)
		select {
		case <-tick.C():
		case <-ctx.Done():
			return nil
		}
	}
}

// publishList writes what is new.
func (p *Publisher) publishList(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	now := p.Clock.Now()
	list := p.Book.Present(now)
	if now.Before(p.retry) {
		return
	}
	if p.lease == nil {
		if err := p.readLease(ctx); err != nil {
			p.logFailure(err)
			return
		}
		list = p.Book.Present(now)
	}
	if slices.Equal(list, p.last) && now.Sub(p.at) < renewal {
		return
	}
	err := p.writeLease(ctx, list, now)
	if err == nil {
		p.last, p.at = list, now
	} else {
		p.lease = nil // another client may have changed or deleted it
	}
	p.logFailure(err)
}

// readLease reads the Lease that an earlier process of the name left. Its runtimes are on
// their way back.
func (p *Publisher) readLease(ctx context.Context) error {
	l := &coordinationv1.Lease{}
	l.Namespace, l.Name = p.Namespace, leaseName(p.Replica)
	err := p.Client.Get(ctx, client.ObjectKeyFromObject(l), l)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading Lease %s: %w", l.Name, err)
	}
	if p.at.IsZero() && err == nil {
		// What cannot be read is written anew.
		if list, unread := decodeList(l.Annotations[annotation]); unread == nil {
			p.Book.Remember(list, p.Clock.Now())
		}
	}
	p.lease = l
	return nil
}

func (p *Publisher) writeLease(ctx context.Context, list List, now time.Time) error {
	fillLease(p.lease, p.Replica, list, now)
	write := p.Client.Update
	if p.lease.ResourceVersion == "" {
		write = func(ctx context.Context, o client.Object, _ ...client.UpdateOption) error {
			return p.Client.Create(ctx, o)
		}
	}
	if err := write(ctx, p.lease); err != nil {
		return fmt.Errorf("writing Lease %s: %w", p.lease.Name, err)
	}
	return nil
}

// logFailure logs the first failure of several, and puts the next try off.
func (p *Publisher) logFailure(err error) {
	switch {
	case err == nil:
		p.failing = false
		return
	case apierrors.IsConflict(err):
		return // it is read again
	case p.failing:
		p.Log.V(1).Info("did not publish which runtimes are heard", "error", err.Error())
	default:
		p.Log.Error(err, "did not publish which runtimes are heard; their silence is not noticed")
	}
	p.failing, p.retry = true, p.Clock.Now().Add(retryAfter)
}
