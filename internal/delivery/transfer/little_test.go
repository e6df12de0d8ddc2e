// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
)

func TestRequestsInFlightFollowFromTheDistance(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		at    reach
		class laneClass
		want  int
	}{
		"nothing is known":           {reach{}, small, 0},
		"small files on loopback":    {reach{least: ms, bytes: 10 << 10}, small, 0},
		"small files in a region":    {reach{least: 30 * ms, bytes: 10 << 10}, small, 120},
		"small files far away":       {reach{least: 100 * ms, bytes: 10 << 10}, small, 400},
		"ranges on loopback":         {reach{least: 2 * ms, bytes: 16 << 20}, wide, 0},
		"ranges in a region":         {reach{least: 30 * ms, bytes: 16 << 20}, wide, 43},
		"ranges far away":            {reach{least: 100 * ms, bytes: 16 << 20}, wide, 55},
		"files of 1 MiB in a region": {reach{least: 30 * ms, bytes: 1 << 20}, wide, 126},
		"requests for nothing":       {reach{least: 30 * ms}, wide, 0},
	} {
		if got := test.at.inFlight(test.class); got != test.want {
			t.Errorf("%s: %d requests, want %d", name, got, test.want)
		}
	}
}

func TestACrowdedSourceGetsFewerRequests(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		at   reach
		want int
	}{
		"nothing is known":          {reach{}, 100},
		"near, and slow":            {reach{least: ms, usual: 50 * ms}, 100},
		"far, and as quick as ever": {reach{least: 30 * ms, usual: 35 * ms}, 100},
		"far, with a short queue":   {reach{least: 30 * ms, usual: 60 * ms}, 100},
		"far, with a long queue":    {reach{least: 30 * ms, usual: 90 * ms}, 50},
		"far, with a queue of 10 s": {reach{least: 30 * ms, usual: 10 * time.Second}, 1},
	} {
		if got := test.at.relieveWidth(100); got != test.want {
			t.Errorf("%s: %d requests stay, want %d", name, got, test.want)
		}
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		bounds bounds
		want   int
	}{
		"by the options only":     {bounds{}, 384},
		"by 256 MiB of memory":    {bounds{memory: 256 << 20}, 256},
		"by 64 MiB of memory":     {bounds{memory: 64 << 20}, 64},
		"by hardly any memory":    {bounds{memory: 1 << 10}, 1},
		"by 1024 descriptors":     {bounds{descriptors: 1024}, 256},
		"by the driver":           {bounds{connections: 200, requests: 128}, 128},
		"by the source's limit":   {bounds{connections: 7, descriptors: 1 << 20}, 7},
		"by no limit that counts": {bounds{descriptors: 1 << 62}, 384},
	} {
		if got := test.bounds.limitRequests(384); got != test.want {
			t.Errorf("%s: %d requests, want %d", name, got, test.want)
		}
	}
}

func TestManyConnectionsReadIntoSmallerParts(t *testing.T) {
	for width, want := range map[int]int{1: 512, 16: 512, 17: 256, 32: 256, 33: 128, 64: 128, 1000: 128} {
		if got := chunkBytes(512<<10, width); got != want<<10 {
			t.Errorf("%d connections: %d bytes, want %d KiB", width, got, want)
		}
	}
	if got := chunkBytes(128<<10, 64); got != 128<<10 {
		t.Errorf("a buffer of 128 KiB became %d bytes", got)
	}
}

func TestRangesAreShorterWhereThereAreFewerThanConnections(t *testing.T) {
	const most, block = 16 << 20, digest.BlockSize
	for name, test := range map[string]struct {
		bytes int64
		width int
		want  int64
	}{
		"many ranges":      {4 << 30, 64, most},
		"just enough":      {1 << 30, 64, most},
		"too few":          {512 << 20, 64, block},
		"a tiny file":      {1, 64, block},
		"one connection":   {100 << 20, 1, most},
		"none of a number": {100 << 20, 0, most},
	} {
		if got := rangeFor(most, block, test.bytes, test.width); got != test.want {
			t.Errorf("%s: ranges of %d bytes, want %d", name, got, test.want)
		}
	}
}

// slowSource is a source whose first bytes take as long as a test says.
type slowSource struct {
	source.Source
	open func() error
}

func (s slowSource) Open(context.Context, source.Entry, int64, int64) (io.ReadCloser, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader("")), nil
}

func TestThePulseIsKnownAfterAFewAnswers(t *testing.T) {
	p := newPulse(nil)
	for i := range sureAfter[small] {
		if got := p.observeClass(small); got != (reach{}) {
			t.Fatalf("after %d answers: %+v", i, got)
		}
		p.addAnswer(small, time.Duration(44-i)*time.Millisecond, 100)
	}
	select {
	case <-p.known:
	default:
		t.Error("it is known, and was not told")
	}
	got := p.observeClass(small)
	if least := got.least.Truncate(time.Millisecond); least != 37*time.Millisecond || got.bytes != 100 || got.usual < got.least {
		t.Errorf("got %+v", got)
	}
	if got := p.observeClass(wide); got != (reach{}) {
		t.Errorf("of the other class: %+v", got)
	}
}

func TestThePulseFollowsAPathThatBecameLonger(t *testing.T) {
	p := newPulse(nil)
	for range sureAfter[wide] {
		p.addAnswer(wide, 10*time.Millisecond, 1)
	}
	for range 100 {
		p.addAnswer(wide, 50*time.Millisecond, 1)
	}
	if got := p.observeClass(wide).least; got > 11*time.Millisecond {
		t.Errorf("one look made it %v", got)
	}
	for range 2000 {
		p.observeClass(wide)
	}
	if got := p.observeClass(wide).least; got < 45*time.Millisecond {
		t.Errorf("it is still %v", got)
	}
}

func TestARefusedRequestIsNoPulse(t *testing.T) {
	slow := &source.Error{Class: source.ErrThrottled, Err: errors.New("slow down")}
	p := newPulse(slowSource{open: func() error { return slow }})
	for range 2 * sureAfter[small] {
		if _, err := p.Open(t.Context(), source.Entry{}, 0, 1); !errors.Is(err, source.ErrThrottled) {
			t.Fatal(err)
		}
	}
	if got := p.observeClass(small); got != (reach{}) {
		t.Errorf("got %+v", got)
	}
}
