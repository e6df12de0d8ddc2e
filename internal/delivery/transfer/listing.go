// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"iter"

	"github.com/kuda-io/kuda/internal/source"
)

// listing is a listing of the source that goes on while what was listed is
// being worked on: the next page is on its way while the files of the last one
// are linked. It is at most a batch ahead.
type listing struct {
	found  chan listed
	cancel context.CancelFunc
	// cut is why the listing ended before its end; it is set before found is closed.
	cut error
}

// listed is what a source yields.
type listed struct {
	entry source.Entry
	err   error
}

// listAhead begins to list; stop ends it.
func listAhead(ctx context.Context, s source.Source, path string) *listing {
	ctx, cancel := context.WithCancel(ctx)
	l := &listing{found: make(chan listed, batch), cancel: cancel}
	go func() {
		defer close(l.found)
		defer func() {
			var err error
			if source.Rescue("listing "+path, recover(), &err); err == nil {
				err = context.Cause(ctx)
			}
			l.cut = err
		}()
		for entry, err := range s.List(ctx, path) {
			select {
			case l.found <- listed{entry, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return l
}

// allEntries yields what the source does, until the context ends. It is called once.
func (l *listing) allEntries(ctx context.Context) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		for {
			select {
			case next, more := <-l.found:
				if !more {
					if l.cut != nil {
						yield(source.Entry{}, l.cut)
					}
					return
				}
				if !yield(next.entry, next.err) {
					return
				}
			case <-ctx.Done():
				yield(source.Entry{}, context.Cause(ctx))
				return
			}
		}
	}
}

// stop returns when the source is not used any more.
func (l *listing) stop() {
	l.cancel()
	for range l.found {
	}
}
