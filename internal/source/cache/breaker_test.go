// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestBreakerOpensAfterThreeFailuresInARowOnly(t *testing.T) {
	c := &clock{at: time.Unix(1, 0)}
	b := NewBreaker(c.now)
	for range 2 {
		b.Fail()
	}
	b.Succeed()
	for range 2 {
		b.Fail()
	}
	if !b.Allow() || b.Open() {
		t.Fatal("it is open after two failures in a row")
	}
	b.Fail()
	if b.Allow() || !b.Open() {
		t.Fatal("it is closed after three failures in a row")
	}
}

func TestOpenBreakerLetsOneProbeThroughThatDecides(t *testing.T) {
	c := &clock{at: time.Unix(1, 0)}
	b := NewBreaker(c.now)
	for range breakerFailures {
		b.Fail()
	}
	wait := breakerFirst
	for range 6 {
		c.at = c.at.Add(wait - time.Second)
		if b.Allow() {
			t.Fatalf("it lets a read through before %v", wait)
		}
		c.at = c.at.Add(time.Second)
		if !b.Allow() || b.Allow() {
			t.Fatal("it lets through another number than one")
		}
		b.Fail()
		wait = min(2*wait, breakerLimit)
	}
	c.at = c.at.Add(wait)
	if !b.Allow() {
		t.Fatal("no probe")
	}
	b.Forget()
	if !b.Allow() {
		t.Fatal("a probe without a result is not followed by another one")
	}
	b.Succeed()
	for range 2 {
		if !b.Allow() || b.Open() {
			t.Error("it stays open after a probe that succeeded")
		}
	}
}

func TestFailuresOfReadsThatBeganBeforeDoNotProlongABreaker(t *testing.T) {
	c := &clock{at: time.Unix(1, 0)}
	b := NewBreaker(c.now)
	for range 20 {
		b.Fail()
	}
	c.at = c.at.Add(breakerFirst)
	if !b.Allow() {
		t.Error("it is open for longer than the first time")
	}
}
