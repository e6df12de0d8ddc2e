// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/cache"
	"github.com/kuda-io/kuda/internal/source/contract"
	"github.com/kuda-io/kuda/internal/source/retry"
)

const (
	// cachedBytes is the size from which on files are read from a cache: for smaller
	// ones, asking the source for their checksums costs as much as reading them.
	cachedBytes = 1 << 20
	// cacheStall is how long a cache may go without a byte.
	cacheStall = 5 * time.Second
)

// cached is the cache in front of a delivery's source, and what it did. Bytes from it are
// on the disk like others, but do not count before their file is proved: the journal does
// not have them, so that no later writer takes them for the source's.
type cached struct {
	cache  *cache.Cache
	source source.Source
	// whole: the digest of the item proves files that have no checksum of their own.
	whole bool
	// stall is how long the source may be silent when it is asked for a checksum.
	stall time.Duration

	served, rejected atomic.Int64

	mu        sync.Mutex
	fallbacks map[string]int64
	message   string
}

// newCached returns the cache of a request, watched and within limits of its own; nil
// where there is none.
func (e *Engine) newCached(r *Request) *cached {
	if r.Cache == nil {
		return nil
	}
	watched := retry.Watch(contract.Check(r.Cache), cacheStall)
	return &cached{cache: r.Cache, source: e.options.Limits.Wrap(watched), whole: r.Digest != "", stall: e.options.Stall,
		fallbacks: map[string]int64{}}
}

// admitFile finds out whether a file may come from the cache: it must be large enough to
// be worth it, and there must be what proves it. The source is asked for that with the own
// credentials, so that a cache gives nothing to those who may not read the file.
func (c *cached) admitFile(ctx context.Context, f *file, kind digest.Kind) error {
	if c == nil || f.onlySource || f.entry.Size < cachedBytes {
		return nil
	}
	sum, err := "", error(&cache.Error{Reason: cache.ReasonUnprovable, Cache: c.cache.Identity(),
		Err: errors.New("the source does not say in which state " + f.path + " is")})
	if f.supportsRanges() {
		err = retry.Call(ctx, c.stall, "asking for the checksum of "+f.path, func(ctx context.Context) (err error) {
			sum, err = c.cache.Prove(ctx, f.entry)
			return err
		})
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, source.ErrChanged), errors.Is(err, source.ErrNotFound):
		return err
	case err != nil && (!c.whole || cache.ReasonOf(err) != cache.ReasonUnprovable || !f.supportsRanges()):
		return c.refuseFile(f, err)
	}
	if err == nil && !f.proveBy(sum, kind) && !c.whole {
		return c.refuseFile(f, &cache.Error{Reason: cache.ReasonUnprovable, Cache: c.cache.Identity(),
			Err: errors.New("what the source says of " + f.path + " cannot be compared with its bytes")})
	}
	f.fromCache = make([]bool, digest.BlockCount(f.entry.Size))
	return nil
}

// proveBy has a file compared with a checksum, and reports whether that can be done: the
// sums of blocks that an earlier writer began are those of the file's own checksum.
func (f *file) proveBy(sum string, kind digest.Kind) bool {
	if tag, ok := strings.CutPrefix(sum, string(md5Tag)+":"); ok {
		f.tag = tag
		return len(tagSums(tag, f.entry.Size)) > 0
	}
	if sum == f.entry.Checksum && digest.Algorithm(sum) != digest.MD5 {
		return true
	}
	if len(f.begins) > 0 && digest.Algorithm(sum) != digest.Algorithm(f.entry.Checksum) {
		return false
	}
	e := f.entry
	e.Checksum = sum
	f.check = newCheck(e, kind, false, f.entry.Size)
	return true
}

// refuseFile counts a file that cannot be proved as one for the source, if that may be
// read.
func (c *cached) refuseFile(f *file, err error) error {
	if _, ok := errors.AsType[*cache.Error](err); !ok {
		if c.cache.Only {
			return err // the source could not be asked, which may pass
		}
		err = &cache.Error{Reason: cache.ReasonUnprovable, Cache: c.cache.Identity(), Err: err}
	}
	c.countFallback(f.left, err)
	if c.cache.Only {
		return cache.Final(err)
	}
	return nil
}

// fallBack makes the rest of a span the source's after the cache failed, or returns why
// that must not be.
func (c *cached) fallBack(ctx context.Context, s *span, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.countFallback(s.length-s.currentPosition(), err)
	if refused, ok := errors.AsType[*cache.Error](err); ok && refused.OfFile() {
		s.file.refused.Store(refused)
	}
	if c.cache.Only {
		return cache.Final(err)
	}
	return nil
}

func (c *cached) countFallback(n int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fallbacks[cache.ReasonOf(err)] += n
	if c.message == "" {
		c.message = err.Error()
	}
}

// keepsBlock reports whether the journal may have a block: the source is asked for it
// again only if it came from there.
func (f *file) keepsBlock(index int) bool {
	return f.supportsRanges() && (f.fromCache == nil || !f.fromCache[index])
}

// acceptFile counts what came from the cache and was proved.
func (c *cached) acceptFile(f *file) {
	if n := f.cachedBytes.Load(); n > 0 {
		c.served.Add(n)
		c.cache.Accept()
	}
}

// matchesTag reports whether the bytes of a file that came from the cache are those of the
// tag that proves it, if one does.
func (f *file) matchesTag(ctx context.Context, buffer []byte) (bool, error) {
	if f.tag == "" || f.cachedBytes.Load() == 0 {
		return true, nil
	}
	sums := tagSums(f.tag, f.entry.Size)
	writers := make([]io.Writer, 0, len(sums))
	for _, s := range sums {
		writers = append(writers, s)
	}
	content := source.WithContext(ctx, io.NewSectionReader(f.out, 0, f.entry.Size))
	if _, err := io.CopyBuffer(onlyWriter{io.MultiWriter(writers...)}, content, buffer); err != nil {
		return false, err
	}
	return slices.ContainsFunc(sums, statedSum.matchesStated), nil
}

// onlyWriter keeps io.CopyBuffer to its buffer.
type onlyWriter struct{ io.Writer }

// rejectFile returns the mismatch of a file that came from the source alone. Of another
// one the cache has wrong bytes, which are counted.
func (c *cached) rejectFile(f *file, mismatch error) error {
	n := f.cachedBytes.Load()
	if n == 0 {
		return mismatch
	}
	c.rejected.Add(n)
	c.cache.Reject()
	err := &cache.Error{Reason: cache.ReasonRejected, Cache: c.cache.Identity(), Err: mismatch}
	c.countFallback(n, err)
	if c.cache.Only {
		return cache.Final(err)
	}
	return nil
}

// rejectItem reports whether the item is to be read again without the cache, after its
// digest turned out to be wrong.
func (c *cached) rejectItem(mismatch error) bool {
	if c == nil || c.served.Load() == 0 {
		return false
	}
	n := c.served.Swap(0)
	c.rejected.Add(n)
	c.cache.Reject()
	c.countFallback(n, &cache.Error{Reason: cache.ReasonRejected, Cache: c.cache.Identity(), Err: mismatch})
	return !c.cache.Only
}

// readAgain reads a file from the source whose bytes from the cache were wrong. It is read
// as a whole, and takes the place of the one that was dropped.
func (d *delivery) readAgain(ctx context.Context, wrong *file, buffer []byte) error {
	f := d.prepareFile(wrong.at)
	f.onlySource = true
	f.check = newCheck(withChecksum(f.entry, wrong.check.promised), d.kind, false, d.engine.options.MD5Bytes)
	d.report.done.Add(-f.entry.Size)
	d.staging.allocated.Add(-f.entry.Size)
	for offset := int64(0); offset < f.entry.Size; offset += d.engine.options.RangeBytes {
		s := &span{file: f, offset: offset, length: min(d.engine.options.RangeBytes, f.entry.Size-offset)}
		if err := d.readSpan(ctx, s, buffer); err != nil {
			return err
		}
	}
	return nil
}

func withChecksum(e source.Entry, sum string) source.Entry {
	e.Checksum = sum
	return e
}

// use returns what the cache did for a delivery that received so many bytes of the source.
func (c *cached) use(fromSource int64) *CacheUse {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u := &CacheUse{Served: c.served.Load(), Rejected: c.rejected.Load(), Fallbacks: c.fallbacks, Message: c.message}
	u.Source = max(fromSource, 0)
	return u
}
