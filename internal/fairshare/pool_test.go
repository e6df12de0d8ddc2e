// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fairshare

import (
	"fmt"
	"sync"
	"testing"
)

// acquire takes units and records in gone when they are taken away.
func acquire(p *Pool, key string, size int64, gone *[]string, name string) (*Grant, bool) {
	return p.Acquire(key, size, func() { *gone = append(*gone, name) })
}

func TestACallerThatHoldsLittleIsServedWhateverOthersHold(t *testing.T) {
	p := NewPool(100)
	var gone []string
	for i := range 1000 {
		acquire(p, "flood", 1, &gone, fmt.Sprint("flood ", i))
	}
	if len(gone) != 900 || p.Used() != 100 {
		t.Fatalf("%d were taken away, %d are held", len(gone), p.Used())
	}
	gone = nil
	quiet, ok := acquire(p, "quiet", 1, &gone, "quiet")
	if !ok || len(gone) != 1 || gone[0] != "flood 900" {
		t.Fatalf("got %t; taken away: %v", ok, gone)
	}
	gone = nil
	for i := range 1000 {
		acquire(p, "flood", 1, &gone, fmt.Sprint("flood ", i))
	}
	if quiet.place == nil {
		t.Error("the flood took away what a quiet caller held")
	}
}

func TestOfTheSameCallerTheLeastRecentlyUsedGoes(t *testing.T) {
	p := NewPool(3)
	var gone []string
	a, _ := acquire(p, "x", 1, &gone, "a")
	acquire(p, "x", 1, &gone, "b")
	acquire(p, "x", 1, &gone, "c")
	a.Touch()
	acquire(p, "x", 1, &gone, "d")
	if len(gone) != 1 || gone[0] != "b" {
		t.Errorf("taken away: %v, want b", gone)
	}
}

func TestOfCallersThatHoldTheSameTheSilentOneGoes(t *testing.T) {
	p := NewPool(50)
	var gone []string
	first, _ := acquire(p, "address 0", 1, &gone, "0")
	for i := 1; i < 1000; i++ {
		first.Touch()
		acquire(p, fmt.Sprint("address ", i), 1, &gone, fmt.Sprint(i))
	}
	if first.place == nil || len(gone) != 950 {
		t.Errorf("a caller in use gave way to a thousand addresses; taken away: %d", len(gone))
	}
}

func TestALargeRequestTakesFromThoseThatHoldMoreOnly(t *testing.T) {
	p := NewPool(100)
	var gone []string
	acquire(p, "a", 60, &gone, "a")
	acquire(p, "b", 30, &gone, "b")
	if _, ok := acquire(p, "c", 50, &gone, "c"); !ok || len(gone) != 1 || gone[0] != "a" {
		t.Errorf("got %t; taken away: %v, want a", ok, gone)
	}
	if _, ok := acquire(p, "d", 90, &gone, "d"); ok {
		t.Error("a caller took more than what any other holds")
	}
	if _, ok := acquire(p, "e", 101, &gone, "e"); ok {
		t.Error("more was given than there is")
	}
}

func TestAGrantThatGrowsIsNotItsOwnVictim(t *testing.T) {
	p := NewPool(10)
	var gone []string
	g, _ := acquire(p, "x", 4, &gone, "g")
	if !g.Grow(6) || g.Grow(1) || g.place == nil || p.Used() != 10 {
		t.Errorf("%d are held; taken away: %v", p.Used(), gone)
	}
	if _, ok := acquire(p, "y", 2, &gone, "h"); !ok || len(gone) != 1 {
		t.Fatalf("taken away: %v", gone)
	}
	if g.Grow(1) {
		t.Error("what was taken away grew")
	}
	g.Release()
	g.Release()
	if p.Used() != 2 {
		t.Errorf("%d are held, want 2", p.Used())
	}
}

func TestAGrantThatMovedIsNotCountedWithTheOthers(t *testing.T) {
	p := NewPool(50)
	var gone []string
	known, _ := acquire(p, "x", 1, &gone, "known")
	known.Move("known x")
	for range 1000 {
		acquire(p, "x", 1, &gone, "flood")
	}
	if known.place == nil || p.Used() != 50 {
		t.Errorf("the flood took away what moved; %d are held", p.Used())
	}
	known.Release()
	known.Move("x")
	if p.Used() != 49 || p.holders["known x"] != nil {
		t.Errorf("%d are held after the release", p.Used())
	}
}

func TestAPoolIsEmptyWhenAllWasReleased(t *testing.T) {
	p := NewPool(64)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for range 500 {
				g, ok := p.Acquire(fmt.Sprint(i%5), 3, func() {})
				if ok {
					g.Grow(2)
					g.Touch()
				}
				g.Release()
			}
		})
	}
	wg.Wait()
	if p.Used() != 0 || len(p.holders) != 0 {
		t.Errorf("%d are held by %d callers", p.Used(), len(p.holders))
	}
}
