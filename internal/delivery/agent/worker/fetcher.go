// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/plan"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/source"
)

// parallelItems is how many items are fetched at the same time; how many
// connections that makes is the engine's matter.
const parallelItems = 4

// fetcher gets items into the store and leases them, for a pass or a prefetch.
type fetcher struct {
	worker *Worker
	// holder gets the leases.
	holder holder
	// verb and arrived are for errors and the log.
	verb, arrived string
	// fill: the cache in front of a source holds an item before it is downloaded.
	fill   bool
	client fetchClient
}

// fetchClient is what a pass and a prefetch do differently. Items are named by their
// places in the list that is fetched; methods are called for several at a time.
type fetchClient interface {
	// found returns what is remembered of an item with the same bytes; nil for nothing.
	found(i int) *podstate.Item
	// notFound tells that this is no longer so.
	notFound(i int, have *podstate.Item, err error)
	// whenAllowed calls download, again if need be, when the item may be downloaded.
	whenAllowed(ctx context.Context, i int, download func(context.Context) result) result
	// complete adds to a request who is told of it, and how urgent it is.
	complete(ctx context.Context, i int, r *transfer.Request)
	// filled takes how far the cache is filled with an item.
	filled(ctx context.Context, i int, c status.CacheFill)
	// finished takes what came of an item.
	finished(ctx context.Context, i int, r result)
}

// result is what came of fetching one item.
type result struct {
	lease *store.Lease
	// have is what was found; nil for what was delivered, and origin and received say
	// whence and how much.
	have     *podstate.Item
	origin   string
	received int64
	cache    *podstate.CacheUse
	err      error
}

// fetchAll tries to get all items into the store. While some are on their way, one that
// failed is tried again, so that it does not wait for the end of a long download.
func (f *fetcher) fetchAll(ctx context.Context, items []plan.Item) {
	sources := f.worker.env.Sources.NewSet()
	defer sources.Close()
	tokens := make(chan struct{}, parallelItems)
	others := newOthersWork(len(items))
	var wg sync.WaitGroup
	for i := range items {
		wg.Go(func() {
			for failures := 0; ; failures++ {
				again := f.worker.again.next()
				err := f.fetchInTurn(ctx, i, &items[i], sources, tokens)
				if more := others.leave(); !more || err == nil || ctx.Err() != nil {
					return
				}
				signalled, join := others.waitToJoin(ctx, again, f.worker.pauseAfter(err, failures))
				if !join {
					return
				}
				if signalled {
					failures = -1
					sources.Reopen(items[i].Source)
				}
			}
		})
	}
	wg.Wait()
}

// fetchInTurn fetches an item when one of the tokens is free.
func (f *fetcher) fetchInTurn(ctx context.Context, i int, ip *plan.Item, sources *sourceconfig.Set, tokens chan struct{}) error {
	select {
	case tokens <- struct{}{}:
	case <-ctx.Done():
		f.client.finished(ctx, i, result{err: context.Cause(ctx)})
		return context.Cause(ctx)
	}
	defer func() { <-tokens }()
	r := f.fetchGuarded(ctx, i, ip, sources)
	f.client.finished(ctx, i, r)
	return r.err
}

// fetchGuarded is fetchItem, in which a panic is a failure of that item.
func (f *fetcher) fetchGuarded(ctx context.Context, i int, ip *plan.Item, sources *sourceconfig.Set) (r result) {
	defer func() {
		if r.err != nil {
			f.worker.logPanic(r.err)
		}
	}()
	defer source.Catch(f.verb+" "+string(ip.Key), &r.err)
	return f.fetchItem(ctx, i, ip, sources)
}

// fetchItem returns a lease of one item's snapshot.
func (f *fetcher) fetchItem(ctx context.Context, i int, ip *plan.Item, sources *sourceconfig.Set) result {
	w := f.worker
	if f.fill {
		if r := f.client.whenAllowed(ctx, i, func(ctx context.Context) result {
			return result{err: f.fillItem(ctx, i, ip, sources)}
		}); r.err != nil {
			return r
		}
	}
	if have := f.client.found(i); have != nil {
		l, err := w.leases.reuseLease(ctx, have.Snapshot, f.holder)
		if err == nil {
			w.env.markSnapshot(l.ID(), ip.Mark)
			return result{lease: l, have: have}
		}
		f.client.notFound(i, have, err)
	}
	return f.client.whenAllowed(ctx, i, func(ctx context.Context) result {
		r, err := f.downloadItem(ctx, i, ip, sources)
		if err != nil {
			return result{err: err}
		}
		return r
	})
}

func (f *fetcher) downloadItem(ctx context.Context, i int, ip *plan.Item, sources *sourceconfig.Set) (result, error) {
	w := f.worker
	src, err := sources.Open(ctx, ip.Source)
	if err != nil {
		return result{}, err
	}
	started := time.Now()
	r, err := sourceconfig.NewRequest(ctx, w.env.Store, ip.Item, src, nil)
	if err != nil {
		return result{}, err
	}
	f.client.complete(ctx, i, &r)
	res, err := w.env.deliverItem(ctx, r, ip.Mark)
	if err != nil {
		return result{}, err
	}
	origin := status.OriginOf(res.Origin)
	w.log.V(1).Info(f.arrived, "item", ip.Key, "version", ip.Item.GetVersion(), "origin", origin,
		"received", res.Received, "reused", res.Reused, "took", time.Since(started).String())
	w.env.Metrics.CountCache(res.Cache)
	return result{lease: w.leases.holdLease(res.Lease, f.holder), origin: origin, received: res.Received, cache: cacheUse(res.Cache)}, nil
}

// cacheUse returns what is remembered of what a cache did; nil where there is none.
func cacheUse(u *transfer.CacheUse) *podstate.CacheUse {
	if u == nil {
		return nil
	}
	return &podstate.CacheUse{ServedBytes: u.Served, SourceBytes: u.Source, RejectedBytes: u.Rejected, Reason: u.Reason(), Message: u.Message}
}
