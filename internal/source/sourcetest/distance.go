// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Profile is how far a server is away.
type Profile struct {
	// FirstByte is how long after a request the first byte of its answer comes.
	FirstByte time.Duration
	// PerConnection and Total are bytes per second of answers: of each connection,
	// and of all together; 0 for no limit.
	PerConnection, Total int64
}

// The distances that storage is used over.
var (
	Near   = Profile{FirstByte: time.Millisecond}
	Region = Profile{FirstByte: 30 * time.Millisecond, PerConnection: 85e6, Total: 1200e6}
	Far    = Profile{FirstByte: 100 * time.Millisecond, PerConnection: 40e6, Total: 500e6}
)

// Distance is a proxy in front of servers that makes them far away. It knows no
// protocol: what a client sends after it was sent something is its next request.
type Distance struct {
	profile     Profile
	all         *pace
	connections atomic.Int64
	requests    atomic.Int64
}

// NewDistance returns a distance that begins with no server.
func NewDistance(p Profile) *Distance { return &Distance{profile: p, all: &pace{rate: p.Total}} }

// Connections is how many connections there were so far.
func (d *Distance) Connections() int64 { return d.connections.Load() }

// Requests is how many requests there were so far.
func (d *Distance) Requests() int64 { return d.requests.Load() }

// Front listens in front of the server at target until the test ends, and returns
// the address. Servers behind one distance share its total.
func (d *Distance) Front(t testing.TB, target string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(client, target)
		}
	}()
	return l.Addr().String()
}

func (d *Distance) serve(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	d.connections.Add(1)
	c := &distant{distance: d, own: pace{rate: d.profile.PerConnection}, answered: true}
	go func() {
		defer server.Close()
		forward(server, client, c.asks)
	}()
	forward(client, server, c.answers)
}

// forward copies until one end is closed, and calls before with each piece.
func forward(to, from net.Conn, before func(n int)) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			before(n)
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// distant is one connection.
type distant struct {
	distance *Distance
	own      pace

	mu       sync.Mutex
	asked    time.Time
	answered bool // since it was asked
}

func (c *distant) asks(int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered {
		c.distance.requests.Add(1)
		c.asked, c.answered = time.Now(), false
	}
}

func (c *distant) answers(n int) {
	c.mu.Lock()
	wait := time.Duration(0)
	if !c.answered {
		c.answered = true
		wait = time.Until(c.asked.Add(c.distance.profile.FirstByte))
	}
	c.mu.Unlock()
	pause(wait)
	pause(max(c.own.take(n), c.distance.all.take(n)))
}

// pause is what makes the distance; it waits for nothing else.
func pause(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// pace spreads bytes over time.
type pace struct {
	rate int64 // bytes per second; 0 for any

	mu   sync.Mutex
	next time.Time
}

// take returns how long to wait before n bytes go on.
func (p *pace) take(n int) time.Duration {
	if p.rate == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	wait := time.Until(p.next)
	p.next = p.next.Add(time.Duration(int64(n) * int64(time.Second) / p.rate))
	return wait
}
