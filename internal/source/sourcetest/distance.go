// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"errors"
	"io"
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
	// Every CutEvery-th answer ends in its middle, with its connection, and every
	// StallEvery-th pauses there for Stall; 0 for none.
	CutEvery, StallEvery int64
	Stall                time.Duration
}

// The distances that storage is used over.
var (
	Near   = Profile{FirstByte: time.Millisecond}
	Region = Profile{FirstByte: 30 * time.Millisecond, PerConnection: 85e6, Total: 1200e6}
	Far    = Profile{FirstByte: 100 * time.Millisecond, PerConnection: 40e6, Total: 500e6}
	// Lossy is Region over a network that loses connections.
	Lossy = Profile{FirstByte: 30 * time.Millisecond, PerConnection: 85e6, Total: 1200e6, CutEvery: 100, StallEvery: 100,
		Stall: 10 * time.Second}
)

// Distance is a proxy in front of servers that makes them far away. It knows no
// protocol: what a client sends after it was sent something is its next request.
type Distance struct {
	profile     Profile
	all         *pace
	connections atomic.Int64
	requests    atomic.Int64
	cuts        atomic.Int64
}

// NewDistance returns a distance that begins with no server.
func NewDistance(p Profile) *Distance { return &Distance{profile: p, all: &pace{rate: p.Total}} }

// Connections is how many connections there were so far.
func (d *Distance) Connections() int64 { return d.connections.Load() }

// Requests is how many requests there were so far.
func (d *Distance) Requests() int64 { return d.requests.Load() }

// Cuts is how many answers were cut so far.
func (d *Distance) Cuts() int64 { return d.cuts.Load() }

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
		forwardPieces(server, client, c.ask)
	}()
	forwardPieces(client, server, c.answer)
}

// forwardPieces passes on what comes until one end is closed, or pass fails.
func forwardPieces(to io.Writer, from io.Reader, pass func(to io.Writer, piece []byte) error) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && pass(to, buffer[:n]) != nil {
			return
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
	// request is the number of the last one, counted over all connections.
	request int64
}

func (c *distant) ask(to io.Writer, piece []byte) error {
	c.mu.Lock()
	if c.answered {
		c.request = c.distance.requests.Add(1)
		c.asked, c.answered = time.Now(), false
	}
	c.mu.Unlock()
	_, err := to.Write(piece)
	return err
}

// errLost is the end of an answer that is cut.
var errLost = errors.New("the connection is lost")

func (c *distant) answer(to io.Writer, piece []byte) error {
	p := c.distance.profile
	c.mu.Lock()
	wait, begins := time.Duration(0), !c.answered
	if begins {
		c.answered = true
		wait = time.Until(c.asked.Add(p.FirstByte))
	}
	request := c.request
	c.mu.Unlock()
	sleepFor(wait)
	sleepFor(max(c.own.reserveBytes(len(piece)), c.distance.all.reserveBytes(len(piece))))
	half := piece[:len(piece)/2]
	switch {
	// Not at the same requests, should they be as frequent.
	case begins && p.CutEvery > 0 && request%p.CutEvery == p.CutEvery/2:
		c.distance.cuts.Add(1)
		_, err := to.Write(half)
		return errors.Join(errLost, err)
	case begins && p.StallEvery > 0 && request%p.StallEvery == 0:
		if _, err := to.Write(half); err != nil {
			return err
		}
		sleepFor(p.Stall)
		piece = piece[len(half):]
	}
	_, err := to.Write(piece)
	return err
}

// sleepFor is what makes the distance; it waits for nothing else.
func sleepFor(d time.Duration) {
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

// reserveBytes returns how long to wait before n bytes go on.
func (p *pace) reserveBytes(n int) time.Duration {
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
