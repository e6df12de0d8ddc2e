// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
)

// lookEvery is how often a delivery looks after itself.
const lookEvery = 250 * time.Millisecond

// pacer decides how many requests of each class are under way.
type pacer struct {
	delivery *delivery
	climbers [laneClasses]*climber
	leapt    [laneClasses]bool
	landed   [laneClasses]bool // what looked far was not
	moved    [laneClasses]int64
	last     time.Time
}

func newPacer(d *delivery) *pacer {
	return &pacer{delivery: d, last: time.Now(), climbers: [...]*climber{
		wide:  newClimber(d.queue.currentWidth(wide), min(usualConnections[wide], d.most[wide])),
		small: newClimber(d.queue.currentWidth(small), min(usualConnections[small], d.most[small])),
	}}
}

// superviseTransfer looks after a delivery while it runs: the journal is handed to the
// kernel, connections are added or given back, and what lags behind is asked
// for a second time.
func (d *delivery) superviseTransfer(quit <-chan struct{}) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	p := newPacer(d)
	for {
		select {
		case <-ticker.C:
		case <-d.pulse.known:
			p.leapAhead()
			continue
		case <-quit:
			return d.writer.Flush()
		}
		if err := d.writer.Flush(); err != nil {
			return err
		}
		now := time.Now()
		p.leapAhead()
		p.adjustWidths(now)
		d.queue.hedgeLagging(now, d.report.total.Load(), p.usualFirst())
	}
}

// leapAhead has as many requests made as the distance of the source asks for, once that is
// known.
func (p *pacer) leapAhead() {
	d := p.delivery
	for i, climber := range p.climbers {
		class := laneClass(i)
		if p.leapt[class] {
			continue
		}
		want := d.pulse.observeClass(class).inFlight(class)
		if want == 0 {
			continue
		}
		p.leapt[class] = true
		climber.leapTo(want, d.most[class])
		if class == wide {
			left := d.report.total.Load() - d.report.done.Load()
			d.queue.shortenRanges(rangeFor(d.engine.options.RangeBytes, digest.BlockSize, left, climber.width))
		}
		d.queue.setWidth(class, climber.width)
	}
}

// adjustWidths takes what was moved since the last call as the measure of the widths.
func (p *pacer) adjustWidths(now time.Time) {
	d := p.delivery
	passed := now.Sub(p.last).Seconds()
	p.last = now
	for i, climber := range p.climbers {
		class := laneClass(i)
		total := d.moved[class].Load()
		rate := float64(total-p.moved[class]) / passed
		p.moved[class] = total
		if !d.queue.isSaturated(class) {
			climber.resetMeasurement()
			continue
		}
		at := d.pulse.observeClass(class)
		if p.leapt[class] && !p.landed[class] && !at.isFar() {
			// Answers waited for a processor, as they do on a busy machine.
			p.landed[class] = true
			climber.landBelow(min(usualConnections[class], d.most[class]))
		} else if stay := at.relieveWidth(climber.width); stay < climber.width && climber.settle == 0 {
			climber.retreatTo(stay)
		} else {
			climber.observeRate(rate)
		}
		d.queue.setWidth(class, climber.width)
	}
}

// usualFirst returns the usual times to the first byte, 0 where they say nothing: a source
// that is near is slow when its machine is, and for one that asked to slow down, requests
// wait here.
func (p *pacer) usualFirst() (first [laneClasses]time.Duration) {
	d := p.delivery
	if d.engine.options.Limits.Holds(d.source.Identity()) {
		return first
	}
	for class := range first {
		if r := d.pulse.observeClass(laneClass(class)); r.isFar() {
			first[class] = r.usual
		}
	}
	return first
}
