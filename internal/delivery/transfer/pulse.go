// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// pulse measures how soon a source answers: a decorator directly around it, so that
// what waits for a limit or for another try does not count.
type pulse struct {
	source.Source
	// known has a value after the first answers of a class.
	known chan struct{}

	mu      sync.Mutex
	classes [laneClasses]answers
}

// answers are those to the requests of one class.
type answers struct {
	first usual // times to the first byte
	least time.Duration
	bytes int64 // that all of them asked for
}

func newPulse(s source.Source) *pulse { return &pulse{Source: s, known: make(chan struct{}, 1)} }

// Open opens a range, and measures how long that takes.
func (p *pulse) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	began := time.Now()
	body, err := p.Source.Open(ctx, e, offset, length)
	if err == nil {
		p.addAnswer(sizeClass(e), time.Since(began), length)
	}
	return body, err
}

// addAnswer takes the time to the first byte of an answer, and how much was asked for.
func (p *pulse) addAnswer(class laneClass, first time.Duration, length int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.classes[class]
	c.first.addDuration(first)
	c.bytes += length
	if c.least == 0 || first < c.least {
		c.least = first
	}
	if c.first.count == sureAfter[class] {
		select {
		case p.known <- struct{}{}:
		default:
		}
	}
}

// observeClass returns what is known of a class; the zero value as long as that is too
// little to act on. The least time follows the times slowly when they grow: a path
// may become longer.
func (p *pulse) observeClass(class laneClass) reach {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.classes[class]
	if c.first.count < sureAfter[class] {
		return reach{}
	}
	median := c.first.medianDuration()
	if median > c.least {
		c.least += (median - c.least) / 256
	}
	return reach{least: c.least, usual: median, bytes: c.bytes / int64(c.first.count)}
}
