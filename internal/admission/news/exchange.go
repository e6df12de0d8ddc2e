// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package news

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
)

const (
	// roundInterval is the time between two looks at whether all replicas reach each other.
	roundInterval = 5 * time.Second
	// tellTimeout bounds how long a change of a DataSet is held up: the API server waits
	// for three seconds. The connections are there already.
	tellTimeout = 2 * time.Second
	// maxPeers bounds the replicas that are told.
	maxPeers = 32
)

var (
	errNoPeers = errors.New("the name of the replicas has no address")
	errAbsent  = errors.New("the name of the replicas does not lead to this one")
)

// Options of an Exchange; all are needed but Resolve.
type Options struct {
	// Peers is the name and the port that lead to all replicas, this one included.
	Peers string
	// Address to listen on, host:port.
	Address string
	// Identity proves the replicas to each other.
	Identity Identity
	// Settle is how long all replicas have to have reached each other before what is
	// told counts as complete: as long as an earlier change may matter.
	Settle time.Duration
	// Resolve returns the addresses of a name; nil asks the resolver of the system.
	Resolve func(ctx context.Context, name string) ([]string, error)
	Clock   clock.WithTicker
	Log     logr.Logger
}

// Exchange tells the other replicas, and is told by them. It is a manager's runnable.
type Exchange struct {
	options Options
	client  *http.Client
	// id tells this process from the other replicas.
	id string

	mu     sync.Mutex
	listen func(namespace string)
	// whole is since when all replicas have reached each other; zero: they do not.
	whole time.Time
	// checked is when the last round ended.
	checked time.Time
}

// New returns an exchange that does nothing before Start.
func New(o Options) *Exchange {
	if o.Resolve == nil {
		o.Resolve = net.DefaultResolver.LookupHost
	}
	return &Exchange{options: o, id: rand.Text(), client: newClient(o.Identity), listen: func(string) {}}
}

// Listen has f called with each namespace that another replica tells of.
func (e *Exchange) Listen(f func(namespace string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listen = f
}

// NeedLeaderElection reports whether only the leader takes part: every replica does.
func (e *Exchange) NeedLeaderElection() bool { return false }

// IsComplete reports whether this replica has heard of every change that another one
// reviewed within the time of Options.Settle.
func (e *Exchange) IsComplete() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.options.Clock.Now()
	return !e.whole.IsZero() && now.Sub(e.whole) >= e.options.Settle && now.Sub(e.checked) < 3*roundInterval
}

// Tell tells the other replicas that a DataSet of the namespace is about to change. It
// returns when all of them know, or after two seconds: one that was not reached notices
// itself, mostly, that it misses news.
func (e *Exchange) Tell(ctx context.Context, namespace string) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	if _, err := e.callAll(ctx, http.MethodPost, pathChanged+namespace); err != nil {
		e.options.Log.Info("told not every replica of a changed DataSet", "namespace", namespace, "error", err.Error())
	}
}

// Start serves the other replicas and looks again and again whether all reach each
// other, until the context ends.
func (e *Exchange) Start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.serve(ctx) })
	group.Go(func() error {
		ticker := e.options.Clock.NewTicker(roundInterval)
		defer ticker.Stop()
		for {
			e.checkPeers(ctx)
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C():
			}
		}
	})
	return group.Wait()
}

// checkPeers looks once whether all replicas, this one included, can be reached.
func (e *Exchange) checkPeers(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	ids, err := e.callAll(bounded, http.MethodGet, pathHello)
	if err == nil && !ids[e.id] {
		err = errAbsent
	}
	e.mu.Lock()
	was := !e.whole.IsZero()
	e.checked = e.options.Clock.Now()
	switch {
	case err != nil:
		e.whole = time.Time{}
	case !was:
		e.whole = e.checked
	}
	e.mu.Unlock()
	if ctx.Err() == nil && was != (err == nil) {
		e.logChange(len(ids), err)
	}
}

func (e *Exchange) logChange(peers int, err error) {
	if err != nil {
		e.options.Log.Info("lost a replica of the webhook; the API server is asked for each pod until all reach each other again",
			"name", e.options.Peers, "error", err.Error())
		return
	}
	e.options.Log.Info("reached all replicas of the webhook", "replicas", peers)
}

// callAll calls every replica, and returns the identities of those that responded.
func (e *Exchange) callAll(ctx context.Context, method, path string) (map[string]bool, error) {
	host, port, err := net.SplitHostPort(e.options.Peers)
	if err != nil {
		return nil, fmt.Errorf("reading the name of the replicas: %w", err)
	}
	addresses, err := e.options.Resolve(ctx, host)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking up the replicas: %w", err)
	case len(addresses) == 0:
		return nil, errNoPeers
	case len(addresses) > maxPeers:
		return nil, fmt.Errorf("looking up the replicas: %s has %d addresses, more than the %d that are told", host, len(addresses), maxPeers)
	}
	var (
		mu    sync.Mutex
		ids   = make(map[string]bool, len(addresses))
		group errgroup.Group
	)
	for _, address := range addresses {
		group.Go(func() error {
			// A replica may have gone on with a file of the authority that another has not
			// read yet; the next call succeeds.
			id, err := e.callPeer(ctx, method, net.JoinHostPort(address, port), path)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			ids[id] = true
			return nil
		})
	}
	err = group.Wait()
	return ids, err
}
