// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/kuda-io/kuda/internal/source"
)

// endless lists without an end, and says nothing when its context ends.
type endless struct {
	source.Source
	yielded int
}

func (e *endless) List(ctx context.Context, _ string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		for ctx.Err() == nil && yield(source.Entry{Path: strconv.Itoa(e.yielded)}, nil) {
			e.yielded++
		}
	}
}

func TestListingReadsAtMostOneBatchAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &endless{}
		l := listAhead(t.Context(), src, "")
		synctest.Wait()
		if src.yielded != batch {
			t.Errorf("%d entries ahead, not %d", src.yielded, batch)
		}
		l.stop() // the bubble fails should the listing still run
	})
}

func TestAListingThatWasCutOffIsNotTakenForWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("it is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		l := listAhead(ctx, &endless{}, "")
		synctest.Wait()
		cancel(cause)
		synctest.Wait()
		var last error
		for _, err := range l.allEntries(context.Background()) { // its own context ends later
			last = err
		}
		if !errors.Is(last, cause) {
			t.Errorf("it ended with %v", last)
		}
		l.stop()
	})
}

func TestAListingIsLeftWhenItsReaderIsToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("a worker failed")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		l := listAhead(t.Context(), &silent{}, "")
		for _, err := range l.allEntries(ctx) {
			if !errors.Is(err, cause) {
				t.Errorf("it ended with %v", err)
			}
		}
		l.stop()
	})
}

// silent says nothing until its context ends.
type silent struct{ source.Source }

func (*silent) List(ctx context.Context, _ string) iter.Seq2[source.Entry, error] {
	return func(func(source.Entry, error) bool) { <-ctx.Done() }
}
