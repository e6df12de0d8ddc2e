// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"math/rand/v2"
	"testing"
)

// climb lets a climber look at a source whose rate depends on the connections.
func climb(c *climber, looks int, rate func(width int) float64) (widest int) {
	for range looks {
		widest = max(widest, c.observeRate(rate(c.width)))
	}
	return widest
}

func TestConnectionsAreAddedWhileTheSumGrows(t *testing.T) {
	for name, test := range map[string]struct {
		rate func(width int) float64
		want int
	}{
		"each connection is slow":         {func(w int) float64 { return float64(w) * 50e6 }, 16},
		"the network is full with six":    {func(w int) float64 { return float64(min(w, 6)) * 100e6 }, 6},
		"the network is full with four":   {func(w int) float64 { return 1e9 }, 4},
		"more of them slow each other":    {func(w int) float64 { return 1e9 - float64(w)*1e7 }, 4},
		"nine are best, and more no good": {func(w int) float64 { return float64(min(w, 9))*1e8 - float64(w)*1e6 }, 9},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClimber(4, 16)
			climb(c, 60, test.rate)
			climb(c, 2*longestRest, test.rate) // it tries, and comes back
			for c.before != 0 || c.settle != 0 {
				c.observeRate(test.rate(c.width))
			}
			if c.width != test.want {
				t.Errorf("%d connections, want %d", c.width, test.want)
			}
		})
	}
}

func TestASlowSourceGetsManyConnectionsSoon(t *testing.T) {
	c := newClimber(4, 16)
	looks := 0
	for c.observeRate(float64(c.width)) < 16 {
		looks++
	}
	if looks > 4*(settleLooks+windowLooks)+1 {
		t.Errorf("it took %d looks", looks)
	}
}

func TestNoiseAddsNoConnectionsThatBringNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := newClimber(4, 16)
	many := 0
	const looks = 5000
	for range looks {
		if c.observeRate(0.85+0.3*random.Float64()) > 6 {
			many++
		}
	}
	if many > looks/100 {
		t.Errorf("%d of %d looks were at more than one step above what helps", many, looks)
	}
}

func TestConnectionsAreGivenBackWhenTheyBringNothingAnyMore(t *testing.T) {
	c := newClimber(4, 16)
	climb(c, 60, func(w int) float64 { return float64(w) })
	if c.width != 16 {
		t.Fatalf("%d connections", c.width)
	}
	climb(c, 3*longestRest, func(int) float64 { return 10 })
	if c.width > 6 {
		t.Errorf("%d connections are kept", c.width)
	}
}

func TestTriesGetRareWhereTheyChangeNothing(t *testing.T) {
	c := newClimber(4, 16)
	wide := 0
	const looks = 2000
	for range looks {
		if c.observeRate(1e9) > 4 {
			wide++
		}
	}
	if wide > looks/20 {
		t.Errorf("%d of %d looks were at more connections than help", wide, looks)
	}
}

func TestNoiseDoesNotDriveTheConnectionsOutOfTheirBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int{1, 2, 3, 4, 16, 64} {
		c := newClimber(4, most)
		for i := range 5000 {
			if i%37 == 0 {
				c.resetMeasurement()
			}
			if width := c.observeRate(random.Float64()); width < 1 || width > most {
				t.Fatalf("%d of %d connections", width, most)
			}
		}
	}
}

func TestALeapIsBoundedAndIsLookedAtAgain(t *testing.T) {
	c := newClimber(8, 24)
	climb(c, 1, func(int) float64 { return 1 })
	c.leapTo(120, 384)
	if c.width != 120 {
		t.Fatalf("%d connections", c.width)
	}
	// Where each of them brings its share, they stay.
	climb(c, 400, func(w int) float64 { return float64(w) })
	if c.width < 120 {
		t.Errorf("%d connections stay of 120 that help", c.width)
	}
	// Where the source gives no more than half as many can take, those go.
	climb(c, 3*longestRest, func(w int) float64 { return float64(min(w, 60)) })
	if c.width >= 120 {
		t.Errorf("%d connections stay, and 60 bring as much", c.width)
	}
	c.leapTo(1000, 384)
	if c.width != 384 {
		t.Errorf("a leap went to %d connections of 384", c.width)
	}
	c.leapTo(10, 384)
	if c.width != 384 {
		t.Errorf("a leap went back to %d connections", c.width)
	}
}

func TestARetreatKeepsTheFewest(t *testing.T) {
	c := newClimber(8, 24)
	c.leapTo(100, 384)
	c.retreatTo(50)
	if c.width != 50 {
		t.Errorf("%d connections, want 50", c.width)
	}
	c.retreatTo(1)
	if c.width != 8 {
		t.Errorf("%d connections, want 8", c.width)
	}
}

func TestASourceThatTurnsOutToBeNearIsClimbedAsOthersAre(t *testing.T) {
	c := newClimber(8, 24)
	c.leapTo(100, 384)
	c.landBelow(24)
	if c.width != 8 {
		t.Fatalf("%d connections after landing", c.width)
	}
	if widest := climb(c, 100, func(w int) float64 { return float64(w) }); widest != 24 {
		t.Errorf("it went to %d connections, want 24", widest)
	}
}
