// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/contract"
	"github.com/kuda-io/kuda/internal/source/limit"
	"github.com/kuda-io/kuda/internal/source/retry"
)

// Options of an Engine. The zero value of each but Store is a good default.
type Options struct {
	// Store that snapshots go to. Required.
	Store *store.Store
	// Legacy is the store of an older release on the same file system, whose files
	// are shared as far as their bytes prove to be those that a source lists; nil
	// for none.
	Legacy *store.Legacy
	// Connections is how many ranges and large files are read at the same time
	// at most, over all deliveries. A delivery begins with 4. From a source that is
	// near it takes more as long as they bring more, up to 16; from one that is far,
	// as many at once as its distance asks for (little.go). 0 means 64.
	Connections int
	// BufferBytes of each of 16 connections; more of them share that memory. 0 means
	// 512 KiB, more of which costs memory and saves nothing that can be measured. It
	// must be a power of two from 128 KiB to 8 MiB.
	BufferBytes int
	// SmallConnections is how many more requests for files of at most 128 KiB are
	// under way at the same time at most. They wait for their first byte without a
	// buffer, of which there are 32. A delivery begins with 8; a source that is near
	// gets up to 24. 0 means 384.
	SmallConnections int
	// RangeBytes is the longest range that one request asks for, a multiple of
	// 8 MiB; 0 means 16 MiB.
	RangeBytes int64
	// MD5Bytes is the size up to which files are compared with an MD5 that the
	// source promises; other checksums are always compared. 0 means 128 KiB, and
	// less means none.
	MD5Bytes int64
	// Limits of the sources; nil for none but those that a source asks for.
	Limits *limit.Group
	// Stall is how long a request may go without a byte before it counts as
	// failed; 0 means 30 s.
	Stall time.Duration
	// MaxFiles is how many files the items may have that are delivered at the same
	// time; each takes memory until its item is complete. One with long names counts
	// as several. 0 means no limit.
	MaxFiles int
	// Memory is the limit of the container in bytes that MaxFiles follows from, which
	// errors name; 0 if it is not known.
	Memory int64
	// Attempts is how often a request is made without progress before its error
	// is returned; 0 means 5.
	Attempts int
}

func (o Options) withDefaults() Options {
	if o.Connections == 0 {
		o.Connections = 64
	}
	if o.BufferBytes == 0 {
		o.BufferBytes = 512 << 10
	}
	if o.SmallConnections == 0 {
		o.SmallConnections = 384
	}
	if o.RangeBytes == 0 {
		o.RangeBytes = 16 << 20
	}
	if o.Limits == nil {
		o.Limits = limit.NewGroup(limit.Options{})
	}
	if o.MD5Bytes == 0 {
		o.MD5Bytes = smallBytes
	}
	return o
}

const (
	// What a delivery begins with.
	startConnections      = 4
	startSmallConnections = 8
	// smallBuffers are those of all requests for small files.
	smallBuffers = 32
	// usualWide is how many connections for ranges a source that is near gets at most.
	usualWide = 16
)

// usualConnections are how many a source that is near gets at most.
var usualConnections = [...]int{wide: usualWide, small: 24}

// Engine delivers items into a store. It is safe for use by several goroutines.
type Engine struct {
	options Options
	policy  retry.Policy
	buffers [laneClasses]*pool
	// reading are the buffers of followers, which have them for as long as a file comes.
	reading *pool
	crowd   crowding
}

// New returns an engine.
func New(o Options) *Engine {
	o = o.withDefaults()
	return &Engine{
		options: o,
		policy:  retry.Policy{Attempts: o.Attempts},
		reading: newPool(o.Connections, smallBytes),
		crowd:   crowding{most: int64(o.MaxFiles), memory: o.Memory},
		buffers: [...]*pool{wide: newPool(o.Connections, o.BufferBytes), small: newPool(min(o.SmallConnections, smallBuffers), smallBytes)},
	}
}

// wrapSource returns a source as deliveries use it: held to its contract, measured,
// watched for progress, within its limits, and asked again after what passes.
func (e *Engine) wrapSource(s source.Source) (source.Source, *pulse) {
	measured := newPulse(contract.Check(s))
	return retry.New(e.options.Limits.Wrap(retry.Watch(measured, e.options.Stall)), e.policy), measured
}

// limitRequests returns the most requests that a delivery from a source may have under
// way, by class.
func (e *Engine) limitRequests(s source.Source) [laneClasses]int {
	b := bounds{memory: e.options.Memory, descriptors: limitDescriptors(), connections: e.options.Limits.Connections(s.Identity())}
	if bounded, ok := s.(source.Bounded); ok {
		b.requests = bounded.MostRequests()
	}
	return [...]int{wide: b.limitRequests(e.options.Connections), small: b.limitRequests(e.options.SmallConnections)}
}

// limitDescriptors returns how many files the process may have open, 0 if it is not known.
func limitDescriptors() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int64(min(limit.Cur, math.MaxInt64))
}

// maxRestarts is how often a delivery lists again because the source changed.
const maxRestarts = 3

// Deliver returns a lease of the request's snapshot, which it downloads when
// the store does not have it. Errors match, with errors.Is, one of the classes
// of package source, store.ErrStore or the context's error; or are, with
// errors.As, a *source.InvalidPathError, a *store.InsufficientSpaceError or a
// *DigestMismatchError. Temporary failures were retried before they are
// returned; what had been downloaded is kept for the next call, but for bytes
// whose digest was wrong or that had no room.
func (e *Engine) Deliver(ctx context.Context, r Request) (*Result, error) {
	if err := r.checkFields(); err != nil {
		return nil, err
	}
	ctx = source.Observe(ctx, source.Observer{Note: onceEach(r.Note)})
	report := newReporter(r.Progress)
	defer report.stop()
	lease, w, err := e.acquireVerified(ctx, r.Key, func() { report.setState(Waiting) })
	if err != nil {
		return nil, err
	}
	if lease != nil {
		return &Result{Lease: lease, Origin: OriginNode}, nil
	}
	w.Urgent = r.Urgent
	for _, p := range append(e.buffers[:], e.reading) {
		p.addUser()
		defer p.removeUser()
	}
	used := e.newCached(&r)
	manifest, err := e.downloadFiles(ctx, r, downloading{writer: w, report: report, cached: used})
	if err != nil {
		// A failure to close or discard comes again with the next call; err came first.
		return nil, cmp.Or(err, closeOrDiscard(w, err))
	}
	report.setState(Verifying)
	if r.Flushing != nil {
		var flushing sync.WaitGroup
		dir := w.Root().Name()
		flushing.Go(func() { r.Flushing(dir, manifest) })
		defer flushing.Wait()
	}
	if lease, err = w.Commit(manifest); err != nil {
		return nil, err
	}
	result := &Result{Lease: lease, Origin: OriginSource, Received: report.received.Load(), Reused: report.reused.Load(),
		Cache: used.use(report.received.Load() - report.cached.Load())}
	if result.Cache != nil && result.Cache.Served > result.Cache.Source {
		result.Origin = OriginCache
	}
	return result, nil
}

// downloading is what the passes of a delivery share.
type downloading struct {
	writer *store.Writer
	report *reporter
	cached *cached
}

// acquireVerified is Store.Acquire that rechecks a snapshot before it is served: it may have
// been changed since it was brought. A damaged one is taken away and made anew.
func (e *Engine) acquireVerified(ctx context.Context, key snapshot.Key, waiting func()) (*store.Lease, *store.Writer, error) {
	for damaged := false; ; damaged = true {
		lease, w, err := e.options.Store.Acquire(ctx, key, waiting)
		if err != nil || lease == nil {
			return nil, w, err
		}
		err = e.options.Store.CheckTaken(ctx, key.ID())
		if err == nil {
			return lease, nil, nil
		}
		_ = lease.Close() // the error is what counts
		if damaged || (!errors.Is(err, snapshot.ErrDamaged) && !errors.Is(err, store.ErrNotStored)) {
			return nil, nil, err
		}
	}
}

// downloadFiles stages every file, again from the listing on while the source changes.
// The last time, files whose SHA-256 is known are taken under whatever identity
// they come: the nodes of a content delivery network may each have their own.
func (e *Engine) downloadFiles(ctx context.Context, r Request, to downloading) (*snapshot.Manifest, error) {
	w, report := to.writer, to.report
	alone, cached := false, to.cached
	for restarts := 0; ; restarts++ {
		report.resetProgress()
		d := newDelivery(e, r, w, report)
		d.alone, d.proved, d.cached = alone, restarts == maxRestarts, cached
		manifest, err := d.runGuarded(ctx)
		e.crowd.releaseWeight(d.weight)
		stale := errors.Is(err, errStale)
		if mismatch, ok := errors.AsType[*DigestMismatchError](err); ok && mismatch.Path == "" {
			if d.sharing.linked {
				// What was shared may be what is wrong: download everything.
				stale, alone = true, true
			}
			if cached.rejectItem(mismatch) {
				// What came from the cache may be: read all from the source.
				stale, cached = true, nil
			}
		}
		again := stale || errors.Is(err, source.ErrChanged)
		if !again || ctx.Err() != nil || restarts == maxRestarts {
			return manifest, err
		}
		if err := w.Reload(ctx, stale); err != nil {
			return nil, err
		}
	}
}

// closeOrDiscard ends a writer after err: it keeps what the next call can use.
func closeOrDiscard(w *store.Writer, err error) error {
	_, noRoom := errors.AsType[*store.InsufficientSpaceError](err)
	mismatch, ok := errors.AsType[*DigestMismatchError](err)
	if noRoom || (ok && mismatch.Path == "") {
		return w.Discard()
	}
	return w.Close()
}
