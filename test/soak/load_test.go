//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// patience is what a call may take.
const patience = 5 * time.Second

// noise is a 99th percentile that is not told from the machine's own: the
// processors are shared with the attackers, the API server and its store. On two
// quiet cores 7 to 26 ms were measured in the flood, 4 to 11 ms before it; the rest is
// room for machines that do other work beside.
const noise = 50 * time.Millisecond

// call is something that those do who are served.
type call struct {
	name  string
	every time.Duration
	do    func(context.Context) error
}

// measured is what came of a kind of call.
type measured struct {
	took   []time.Duration
	failed []error
}

func (m *measured) p99() time.Duration {
	slices.Sort(m.took)
	return m.took[len(m.took)*99/100]
}

// measure makes the calls side by side for a while.
func measure(t *testing.T, calls []call, length time.Duration) map[string]*measured {
	t.Helper()
	results := make(map[string]*measured, len(calls))
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range calls {
		m := &measured{}
		results[c.name] = m
		wg.Go(func() { m.repeat(ctx, c) })
	}
	wg.Wait()
	for _, c := range calls {
		if m := results[c.name]; len(m.took) == 0 {
			t.Fatalf("no call of %s was answered: %v", c.name, m.failed)
		}
	}
	return results
}

// repeat calls until the context ends. A call that has begun is waited for.
func (m *measured) repeat(ctx context.Context, c call) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		began := time.Now()
		if err := c.do(bounded); err != nil {
			m.failed = append(m.failed, err)
		} else {
			m.took = append(m.took, time.Since(began))
		}
		cancel()
	}
}

// compare fails the test where calls failed. Where timed is set it also fails it where
// they took too long beside the flood: "make soak" is run on a machine that does
// nothing else, "make integration" is not.
func compare(t *testing.T, calls []call, quiet, flooded map[string]*measured, timed bool) {
	t.Helper()
	for _, c := range calls {
		q, f := quiet[c.name], flooded[c.name]
		t.Logf("%s: %d calls, %d failed; p99 %s, before the flood %s", c.name, len(f.took), len(f.failed), f.p99(), q.p99())
		if len(q.failed) > 0 {
			t.Errorf("%s failed before the flood: %v", c.name, q.failed[0])
		}
		if len(f.failed) > 0 {
			t.Errorf("%s failed %d times, first by: %v", c.name, len(f.failed), f.failed[0])
		}
		if most := max(2*q.p99(), noise); timed && f.p99() > most {
			t.Errorf("%s took %s (p99), want at most %s", c.name, f.p99(), most)
		}
	}
}
