// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"math"
	"time"
)

// How many requests are under way follows from how far the source is, by Little's law:
// requests in flight = requests a second × the time that one takes.
const (
	// nearFirst is the time to the first byte below which trying finds the number as
	// soon: there, answers wait for processors and disks, which more requests only
	// divide.
	nearFirst = 10 * time.Millisecond
	// wantedBytes a second is what a node with 25 Gbit/s can receive, wantedFiles a
	// second what a processor can check and write.
	wantedBytes = 3.1e9
	wantedFiles = 4000.0
	// usualRate is what a connection to an object store brings, in bytes a second:
	// when requests are opened, the first of them have not ended yet.
	usualRate = 85e6
	// crowdedFactor is how many times as long as the least the usual time to the
	// first byte may be. Longer, and requests wait for each other at the source.
	crowdedFactor = 2
	// relief is how many requests stay of those that keep a crowded source busy.
	relief = 1.5
)

// sureAfter is after how many answers of a class the least time of them is taken for the
// source's: as many as a delivery begins with, which come at the same time.
var sureAfter = [...]int{wide: startConnections, small: startSmallConnections}

// reach is how far a source is for one class of requests.
type reach struct {
	least, usual time.Duration // to the first byte
	bytes        int64         // that a request asks for
}

// isFar reports whether the source is so far that the number of requests follows from
// it.
func (r reach) isFar() bool { return r.least >= nearFirst }

// inFlight returns how many requests of a class bring what is wanted, 0 where the
// distance does not say.
func (r reach) inFlight(class laneClass) int {
	if !r.isFar() || r.bytes <= 0 {
		return 0
	}
	if class == small {
		return int(math.Ceil(wantedFiles * r.least.Seconds()))
	}
	one := r.least.Seconds() + float64(r.bytes)/usualRate
	return int(math.Ceil(wantedBytes / float64(r.bytes) * one))
}

// relieveWidth returns how many of width requests are to stay, all of them unless they wait
// for each other.
func (r reach) relieveWidth(width int) int {
	if !r.isFar() || r.usual <= crowdedFactor*r.least {
		return width
	}
	return min(width, int(math.Ceil(relief*float64(width)*float64(r.least)/float64(r.usual))))
}

// What bounds the requests in flight.
const (
	// requestMemory is what a request in flight takes beside a buffer, with TLS: two
	// goroutines of its connection, and what they read and write into.
	requestMemory = 64 << 10
	// memoryShare and descriptorShare are what part of the container's memory, and of
	// the process's descriptors, requests may take.
	memoryShare, descriptorShare = 16, 4
)

// bounds are what a delivery may use. A bound of 0 is none.
type bounds struct {
	memory      int64 // bytes
	descriptors int64
	// connections that the source's limits allow this process.
	connections int
	// requests that a driver finds right for one client.
	requests int
}

// limitRequests returns the most requests of a class, of those that the options allow.
func (b bounds) limitRequests(most int) int {
	if b.memory > 0 {
		most = min(most, int(b.memory/memoryShare/requestMemory))
	}
	if b.descriptors > 0 {
		most = int(min(int64(most), b.descriptors/descriptorShare))
	}
	for _, bound := range []int{b.connections, b.requests} {
		if bound > 0 {
			most = min(most, bound)
		}
	}
	return max(most, 1)
}

// chunkBytes returns how much of a buffer each of width connections fills before it
// writes: all of them together no more than usualWide connections with whole buffers.
// It is a power of two, as the buffer is.
func chunkBytes(buffer, width int) int {
	for n := usualWide; n < width && buffer > smallBytes; n *= 2 {
		buffer /= 2
	}
	return buffer
}

// rangeFor returns how long the ranges of so many bytes are when width connections are
// to read them: shorter ones where there would be fewer ranges than connections.
func rangeFor(most, block, bytes int64, width int) int64 {
	share := bytes / int64(max(width, 1))
	return min(max((share+block-1)/block*block, block), most)
}
