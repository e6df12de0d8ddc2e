// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import "time"

// lookEvery is how often a delivery looks after itself.
const lookEvery = 250 * time.Millisecond

// superviseTransfer looks after a delivery while it runs: the journal is handed to the
// kernel, connections are added or given back, and what lags behind is asked
// for a second time.
func (d *delivery) superviseTransfer(quit <-chan struct{}) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	climbers := [...]*climber{
		wide:  newClimber(d.queue.lanes[wide].width, d.engine.options.Connections),
		small: newClimber(d.queue.lanes[small].width, d.engine.options.SmallConnections),
	}
	var moved [len(climbers)]int64
	for last := time.Now(); ; {
		select {
		case <-ticker.C:
		case <-quit:
			return d.writer.Flush()
		}
		if err := d.writer.Flush(); err != nil {
			return err
		}
		now := time.Now()
		for class, climber := range climbers {
			total := d.moved[class].Load()
			rate := float64(total-moved[class]) / now.Sub(last).Seconds()
			moved[class] = total
			if !d.queue.isSaturated(laneClass(class)) {
				climber.resetMeasurement()
				continue
			}
			d.queue.setWidth(laneClass(class), climber.observeRate(rate))
		}
		last = now
		d.queue.hedgeLagging(now, d.report.total.Load())
	}
}
