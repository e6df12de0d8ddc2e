// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/cache"
)

const (
	// parallelFills is how many files a cache is filled with at the same time. The bytes
	// go from the source to the cache, which has limits of its own.
	parallelFills = 4
	// fillReports is how often the progress of filling is told at most.
	fillReports = 500 * time.Millisecond
)

// Fill is how far a cache is filled with an item.
type Fill struct {
	// Held bytes are in the cache, of Total that may come from it; Total is final when
	// the filling has ended.
	Held, Total int64
	// Holders are the hosts that hold how many of these, as far as the cache says.
	Holders map[string]int64
	// Fallbacks are bytes that the cache does not hold, by the reasons of package cache.
	Fallbacks map[string]int64
	// Message is the first error of the cache, "" if there is none.
	Message string
}

// Reason returns the reason with the most bytes, "" where the cache holds all.
func (f *Fill) Reason() string { return mostBytes(f.Fallbacks) }

// FillCache has the cache of a request hold every file that Deliver would read from it, and
// returns when it does, or says of what it does not. It does so with the source's own
// listing and rights, and delivers nothing. Where the cache must not be passed by, it fails
// with the error of the first file that the cache does not hold. Without a cache it returns
// nil. Progress is called from one goroutine at a time.
func (e *Engine) FillCache(ctx context.Context, r Request, progress func(held, total int64)) (*Fill, error) {
	if r.Cache == nil {
		return nil, nil
	}
	if err := r.checkFields(); err != nil {
		return nil, err
	}
	ctx = source.Observe(ctx, source.Observer{Note: onceEach(r.Note)})
	f := &filling{cached: e.newCached(&r), kind: digest.KindOf(r.Digest), progress: progress, holders: map[string]int64{}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	files := make(chan source.Entry)
	var wg sync.WaitGroup
	for range parallelFills {
		wg.Go(func() {
			for entry := range files {
				if err := f.fillFile(ctx, entry); err != nil {
					cancel(err)
				}
			}
		})
	}
	listed, _ := e.wrapSource(r.Source)
	if err := f.listFiles(ctx, listed, &r, files); err != nil {
		cancel(err)
	}
	close(files)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return f.makeResult(), nil
}

// filling is one call of FillCache.
type filling struct {
	cached   *cached
	kind     digest.Kind
	progress func(held, total int64)

	held, total atomic.Int64
	mu          sync.Mutex
	told        time.Time
	holders     map[string]int64
}

// listFiles hands over the files of the item that are large enough to come from the cache.
func (f *filling) listFiles(ctx context.Context, s source.Source, r *Request, files chan<- source.Entry) error {
	for entry, err := range s.List(ctx, r.Path) {
		if err != nil {
			return err
		}
		if entry.Link != "" || entry.Fault != nil || entry.Size < cachedBytes || entry.Path != "" && !r.isSelected(entry.Path) {
			continue
		}
		f.total.Add(entry.Size)
		f.reportProgress()
		select {
		case files <- entry:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// fillFile has the cache hold a file, or counts it as one that it does not hold. It returns
// what ends the whole.
func (f *filling) fillFile(ctx context.Context, entry source.Entry) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if admitted, err := f.admitFile(ctx, entry); err != nil || !admitted {
		f.total.Add(-entry.Size) // it never comes from the cache
		return err
	}
	var held atomic.Int64
	err := f.cached.cache.Fill(ctx, entry, func(host string, n int64) {
		held.Add(n)
		f.countBytes(host, n)
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		return nil
	}
	f.cached.countFallback(entry.Size-held.Load(), err)
	if f.cached.cache.Only {
		return cache.Final(err)
	}
	if errors.Is(err, source.ErrChanged) {
		return err
	}
	return nil
}

// admitFile reports whether a file may come from the cache. That the source does not say so
// now is an error, and not the same as that it cannot.
func (f *filling) admitFile(ctx context.Context, entry source.Entry) (bool, error) {
	probe := &file{path: entry.Path, entry: entry, left: entry.Size}
	unprovable := &cache.Error{Reason: cache.ReasonUnprovable, Cache: f.cached.cache.Identity(),
		Err: errors.New("nothing that the source says of " + entry.Path + " can be compared with its bytes")}
	if probe.supportsRanges() {
		sum, problem := f.cached.cache.Prove(ctx, entry)
		switch {
		case problem != nil && cache.ReasonOf(problem) != cache.ReasonUnprovable:
			return false, problem
		case problem == nil && probe.proveBy(sum, f.kind), f.cached.whole:
			return true, nil
		}
	}
	f.cached.countFallback(entry.Size, unprovable)
	if f.cached.cache.Only {
		return false, cache.Final(unprovable)
	}
	return false, nil
}

// countBytes takes bytes that the cache holds, or dropped again: a negative number.
func (f *filling) countBytes(host string, n int64) {
	f.held.Add(n)
	f.mu.Lock()
	if host != "" {
		if f.holders[host] += n; f.holders[host] == 0 {
			delete(f.holders, host)
		}
	}
	f.mu.Unlock()
	f.reportProgress()
}

// reportProgress tells the progress, unless that was done just now.
func (f *filling) reportProgress() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.progress != nil && now.Sub(f.told) >= fillReports {
		f.told = now
		f.progress(f.held.Load(), f.total.Load())
	}
}

func (f *filling) makeResult() *Fill {
	f.cached.mu.Lock()
	defer f.cached.mu.Unlock()
	return &Fill{Held: f.held.Load(), Total: f.total.Load(), Holders: f.holders, Fallbacks: f.cached.fallbacks, Message: f.cached.message}
}
