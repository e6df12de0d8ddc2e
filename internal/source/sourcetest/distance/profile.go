// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package distance

import "time"

// Profile is how far a server is away.
type Profile struct {
	// FirstByte is how much later than without the proxy the first byte of an
	// answer comes.
	FirstByte time.Duration
	// PerConnection and Total are bytes per second of answers: of each connection,
	// and of all together; 0 for no limit.
	PerConnection, Total int64
	// Every CutEvery-th answer ends in its middle, with its connection, and every
	// StallEvery-th pauses there for Stall; 0 for none.
	CutEvery, StallEvery int64
	Stall                time.Duration
	// Every RefuseEvery-th request of HTTP without a body is answered with status 503
	// and Retry-After: 1 instead of being passed on; 0 for none.
	RefuseEvery int64
}

// The distances that storage is used over.
var (
	Near   = Profile{FirstByte: time.Millisecond}
	Region = Profile{FirstByte: 30 * time.Millisecond, PerConnection: 85e6, Total: 1200e6}
	Far    = Profile{FirstByte: 100 * time.Millisecond, PerConnection: 40e6, Total: 500e6}
	// Lossy is Region over a network that loses connections, to a service that is
	// asked for more than it likes.
	Lossy = Profile{FirstByte: 30 * time.Millisecond, PerConnection: 85e6, Total: 1200e6, CutEvery: 100, StallEvery: 100,
		Stall: 10 * time.Second, RefuseEvery: 200}
)
