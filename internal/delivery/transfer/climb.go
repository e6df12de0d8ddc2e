// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

// How a climber judges. A look is one call of observeRate.
const (
	// settleLooks are not counted after a step: new connections are slow at first.
	settleLooks = 1
	// windowLooks are averaged, because single ones jump about.
	windowLooks = 2
	// keepShare of what more connections could bring at best must come for them
	// to stay: the sum of four may jump by a tenth, and to keep more of them than
	// bring something costs processor time here and at the source.
	keepShare = 0.5
	// keepLoss is how much of the sum may be lost with fewer connections.
	keepLoss = 0.97
	// firstRest and longestRest are the looks between two tries that changed
	// nothing; the rest doubles in between.
	firstRest, longestRest = 8, 128
)

// climber finds out how many connections a source is worth, by trying: more of
// them as long as the sum grows, and fewer where they turn out to bring nothing.
// It only computes; the queue does what it says.
type climber struct {
	least, most int

	width  int
	before int     // the width that is left for a try, 0 without one
	base   float64 // the rate at that width
	sum    float64
	looks  int
	settle int
	rest   int // looks until the next try
	pause  int // the rest after the next try that changes nothing
	down   bool
}

// newClimber begins with start connections, which are the fewest too; it never
// goes beyond most.
func newClimber(start, most int) *climber {
	start = min(start, most)
	return &climber{least: start, most: most, width: start, settle: settleLooks, pause: firstRest}
}

// observeRate takes the rate since the last call, through connections that were all
// busy, in any unit. It returns how many there are to be from now on.
func (c *climber) observeRate(rate float64) int {
	if c.settle > 0 {
		c.settle--
		return c.width
	}
	c.sum += rate
	if c.looks++; c.looks < windowLooks {
		return c.width
	}
	mean := c.sum / windowLooks
	c.sum, c.looks = 0, 0
	switch {
	case c.before != 0:
		c.endTry(mean)
	case c.rest > 0:
		c.rest -= windowLooks
	default:
		c.tryNextWidth(mean)
	}
	return c.width
}

// leapTo begins anew with a width that was found otherwise, and may go up to most from now
// on. The first try after it is one of fewer connections.
func (c *climber) leapTo(width, most int) {
	c.most = most
	c.width = min(max(c.width, width), most)
	c.before, c.sum, c.looks, c.settle = 0, 0, 0, settleLooks
	c.rest, c.pause, c.down = firstRest, firstRest, true
}

// landBelow ends what a leap began: it goes back to where it started, and up to most from now on.
func (c *climber) landBelow(most int) {
	c.most = most
	c.retreatTo(c.least)
	c.rest, c.pause, c.down = 0, firstRest, false
}

// retreatTo goes to fewer connections at once.
func (c *climber) retreatTo(width int) {
	c.width = max(width, c.least)
	c.before, c.sum, c.looks, c.settle = 0, 0, 0, settleLooks
	c.rest = c.pause
}

// resetMeasurement drops what was measured since the last step; connections were idle.
func (c *climber) resetMeasurement() {
	c.sum, c.looks = 0, 0
	c.settle = max(c.settle, settleLooks)
}

// endTry ends a try. One that helped is followed by the next at once.
func (c *climber) endTry(mean float64) {
	more := c.width > c.before
	keep := more && mean >= c.base*c.requiredGain() || !more && mean >= c.base*keepLoss
	if keep {
		c.before, c.pause = 0, firstRest
		if c.nextWidth(more) != c.width {
			c.beginTry(mean, c.nextWidth(more))
			return
		}
	} else {
		c.width, c.before, c.settle = c.before, 0, settleLooks
	}
	c.down = more // the other way next time
	c.rest, c.pause = c.pause, min(2*c.pause, longestRest)
}

// requiredGain returns the factor by which the sum must grow in a try of more
// connections.
func (c *climber) requiredGain() float64 {
	return 1 + keepShare*(float64(c.width)/float64(c.before)-1)
}

// tryNextWidth begins a try, in the direction whose turn it is if the width can change
// that way.
func (c *climber) tryNextWidth(mean float64) {
	next := c.nextWidth(!c.down)
	if next == c.width {
		c.down = !c.down
		next = c.nextWidth(!c.down)
	}
	if next != c.width {
		c.beginTry(mean, next)
	}
}

func (c *climber) beginTry(mean float64, width int) {
	c.before, c.base, c.width, c.settle = c.width, mean, width, settleLooks
}

// nextWidth returns the next width in a direction.
func (c *climber) nextWidth(more bool) int {
	if more {
		return min(c.width+max(c.width/2, 1), c.most)
	}
	return max(c.width-max(c.width/3, 1), c.least)
}
