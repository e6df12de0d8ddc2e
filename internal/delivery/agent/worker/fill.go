// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/delivery/agent/plan"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
)

// fills remembers which items the caches in front of the sources were filled with, by their
// marks, so that a pass that is repeated does not fill them again. A process that has
// just started remembers nothing: it looks what the caches hold.
type fills struct {
	mu   sync.Mutex
	full map[string]status.CacheFill
}

func (f *fills) findFill(mark string) (status.CacheFill, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	done, ok := f.full[mark]
	return done, ok
}

func (f *fills) rememberFill(mark string, done status.CacheFill) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full == nil {
		f.full = map[string]status.CacheFill{}
	}
	f.full[mark] = done
}

func (f *fills) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.full)
}

// fillItem has the cache in front of an item's source hold the item's files. A cache that
// may be passed by and cannot be filled is no error: the status says it.
func (f *fetcher) fillItem(ctx context.Context, i int, ip *plan.Item, sources *sourceconfig.Set) error {
	w := f.worker
	if done, ok := w.fills.findFill(ip.Mark); ok {
		f.client.filled(ctx, i, done)
		return nil
	}
	src, err := sources.Open(ctx, ip.Source)
	if err != nil {
		return err
	}
	r, err := sourceconfig.NewRequest(ctx, w.env.Store, ip.Item, src, nil)
	if err != nil {
		return err
	}
	done := status.CacheFill{Done: true}
	if r.Cache != nil {
		f.client.complete(ctx, i, &r)
		result, err := w.env.Engine.FillCache(ctx, r, func(held, total int64) {
			f.client.filled(ctx, i, status.CacheFill{Held: held, Total: total})
		})
		if err != nil {
			return err
		}
		done = fillOf(result)
		w.log.Info("filled the cache", "item", ip.Key, "held", done.Held, "total", done.Total, "reason", done.Reason)
	}
	w.fills.rememberFill(ip.Mark, done)
	f.client.filled(ctx, i, done)
	return nil
}

func fillOf(f *transfer.Fill) status.CacheFill {
	done := status.CacheFill{Held: f.Held, Total: f.Total, Done: true, Reason: f.Reason(), Message: f.Message}
	for _, host := range slices.Sorted(maps.Keys(f.Holders)) {
		done.Holders = append(done.Holders, status.CacheHolder{Host: host, Bytes: f.Holders[host]})
	}
	slices.SortStableFunc(done.Holders, func(a, b status.CacheHolder) int { return cmp.Compare(b.Bytes, a.Bytes) })
	done.Holders = done.Holders[:min(len(done.Holders), status.MaxCacheHolders)]
	return done
}

// fillMessage says how far the cache is filled.
func fillMessage(c status.CacheFill) string {
	return fmt.Sprintf("the cache holds %s of %s", bytesize.Text(c.Held), bytesize.Text(c.Total))
}
