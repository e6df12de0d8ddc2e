// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"bytes"
	"context"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// What a path names is asked for at once: the head of an object, the content of a small
// one, and the first page of what is below it. Of a far service the answers come together,
// where one after the other would take three times as long. Where the source's
// connections are limited, the questions are asked one after the other.
const (
	// earlyBytes is the size up to which content comes with the head. What of a larger
	// object is fetched in vain is no more than that.
	earlyBytes = 16 << 10
	// earlyLife is how long content waits to be opened.
	earlyLife = 10 * time.Second
	// earlyObjects are kept at most.
	earlyObjects = 16
	// earlyTime is how long the request for it may go on, and earlyGrace how much longer
	// than twice the time of the head it is waited for.
	earlyTime  = 10 * time.Second
	earlyGrace = 20 * time.Millisecond
)

// early has the content of small objects that came with their heads, until they are opened.
type early struct {
	mu      sync.Mutex
	objects map[string]earlyObject // by the key of the entry
}

// earlyObject is all of an object in one state.
type earlyObject struct {
	identity source.Identity
	modified time.Time
	content  []byte
	at       time.Time
}

// keepObject keeps an object for a while.
func (e *early) keepObject(key string, o earlyObject) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, old := range e.objects {
		if o.at.Sub(old.at) > earlyLife || len(e.objects) >= earlyObjects {
			delete(e.objects, k)
		}
	}
	if e.objects == nil {
		e.objects = map[string]earlyObject{}
	}
	e.objects[key] = o
}

// takeObject returns the content of an entry if it is here, once: whoever needs it again reads
// it from the service.
func (e *early) takeObject(entry source.Entry, now time.Time) ([]byte, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o, ok := e.objects[entry.Key]
	if !ok {
		return nil, false
	}
	delete(e.objects, entry.Key)
	right := o.identity == entry.Identity && o.modified.Equal(entry.Modified) && int64(len(o.content)) == entry.Size
	return o.content, right && now.Sub(o.at) <= earlyLife
}

// statEarly is statObject that keeps the content of a small object for the next Open.
func (s *Source) statEarly(ctx context.Context, key string) (source.Entry, error) {
	// Not with the listing: a body that is read to its end leaves its connection open
	// for the next request.
	begun, cancel := context.WithTimeout(context.WithoutCancel(ctx), earlyTime)
	found := make(chan earlyObject, 1)
	go func() {
		defer cancel()
		found <- s.readBegin(begun, key)
	}()
	asked := time.Now()
	entry, err := s.statObject(ctx, key)
	if err != nil || entry.Size < 1 || entry.Size > earlyBytes || !entry.Identity.Strong() {
		return entry, err
	}
	// It was asked for at the same time; what takes much longer is asked for anew.
	late := time.NewTimer(time.Since(asked) + earlyGrace)
	defer late.Stop()
	select {
	case o := <-found:
		s.early.keepObject(entry.Key, o)
	case <-late.C:
	case <-ctx.Done():
	}
	return entry, nil
}

// readBegin returns the state and the first bytes of an object, nothing where that fails:
// then it is opened as others are.
func (s *Source) readBegin(ctx context.Context, key string) (o earlyObject) {
	var err error
	defer source.Catch("reading the first bytes of "+s.identity+"/"+key, &err)
	options, err := getOptions(source.Entry{Size: earlyBytes + 1}, "", byteRange{length: earlyBytes})
	if err != nil {
		return o
	}
	body, info, _, err := s.signing.Load().client.GetObject(ctx, s.bucket, key, options)
	if err != nil {
		return o
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, earlyBytes))
	if err != nil {
		return o
	}
	return earlyObject{identity: entryIdentity(info), modified: lastModified(info), content: content, at: time.Now()}
}

// openEarly returns a reader of an entry that came with its head, nil if it did not.
func (s *Source) openEarly(ctx context.Context, e source.Entry, r byteRange) io.ReadCloser {
	if e.Size > earlyBytes || !r.wholeOf(e.Size) {
		return nil
	}
	content, ok := s.early.takeObject(e, time.Now())
	if !ok {
		return nil
	}
	return source.NewReader(ctx, "reading "+s.identity+"/"+e.Key, io.NopCloser(bytes.NewReader(content)), e.Size)
}

// ahead is a listing that goes on while something else is waited for.
type ahead struct {
	found  chan found
	cancel context.CancelFunc
}

// found is what a listing yields.
type found struct {
	entry source.Entry
	err   error
}

// listAhead begins to list a tree. The caller either takes it or stops it.
func (s *Source) listAhead(ctx context.Context, op, prefix string) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{found: make(chan found, 1000), cancel: cancel}
	pass := func(e source.Entry, err error) bool {
		select {
		case a.found <- found{e, err}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(a.found)
		var err error
		defer func() {
			if source.Rescue(op, recover(), &err); err != nil {
				pass(source.Entry{}, err)
			}
		}()
		s.listTree(ctx, op, prefix, pass)
	}()
	return a
}

// allEntries yields what the listing does.
func (a *ahead) allEntries() iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		for next := range a.found {
			if !yield(next.entry, next.err) {
				return
			}
		}
	}
}

// stopListing ends the listing, and returns when it uses the source no more.
func (a *ahead) stopListing() {
	a.cancel()
	for range a.found {
	}
}
