// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// dripping is a cache whose bodies bring a number of bytes each second.
type dripping struct {
	clock *clock
	bytes int
}

func (d *dripping) Identity() string { return "drip://test" }
func (d *dripping) Close() error     { return nil }

func (d *dripping) Fill(context.Context, source.Entry, func(string, int64)) error { return nil }

func (d *dripping) Open(context.Context, source.Entry, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(d), nil
}

func (d *dripping) Read(p []byte) (int, error) {
	d.clock.at = d.clock.at.Add(time.Second)
	return min(d.bytes, len(p)), nil
}

func TestCacheThatBringsFewBytesASecondIsNotWaitedFor(t *testing.T) {
	for bytes, slow := range map[int]bool{1: true, 1024: true, slowBytes / 4: false, 1 << 20: false} {
		c := &clock{at: time.Unix(1, 0)}
		g := NewGroup()
		g.now = c.now
		cached := g.New(&dripping{clock: c, bytes: bytes}, nil)
		for range breakerFailures {
			body, err := cached.Open(t.Context(), source.Entry{Key: "a"}, 0, 64<<20)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadFull(body, make([]byte, 4<<20))
			_ = body.Close()
			if failed, ok := errors.AsType[*Error](err); ok != slow || ok && failed.Reason != ReasonFailed {
				t.Errorf("%d bytes a second: got %v", bytes, err)
			}
		}
		if cached.Degraded() != slow {
			t.Errorf("%d bytes a second: degraded is %t", bytes, cached.Degraded())
		}
		only := NewGroup()
		only.now = c.now
		patient := only.New(&dripping{clock: c, bytes: bytes}, nil)
		patient.Only = true
		body, err := patient.Open(t.Context(), source.Entry{Key: "a"}, 0, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(body, make([]byte, 4096)); err != nil {
			t.Errorf("%d bytes a second, and no other way: got %v", bytes, err)
		}
		_ = body.Close()
	}
}
