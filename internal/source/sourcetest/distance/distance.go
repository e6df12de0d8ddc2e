// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package distance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pieceBytes are read, paced and written at once.
	pieceBytes = 64 << 10
	// ahead is how many pieces of requests may be under way on a connection.
	ahead = 64
)

// Proxy stands in front of servers. Servers behind one proxy share its total.
type Proxy struct {
	profile Profile
	all     *pace

	connections, requests, cuts, refusals atomic.Int64

	mu        sync.Mutex
	listeners []net.Listener
	open      map[net.Conn]bool
	closed    bool
}

// New returns a proxy that begins with no server.
func New(p Profile) *Proxy {
	return &Proxy{profile: p, all: &pace{rate: p.Total}, open: map[net.Conn]bool{}}
}

// Connections returns how many connections there were so far.
func (p *Proxy) Connections() int64 { return p.connections.Load() }

// Requests returns how many requests there were so far. What a client sends after it
// was sent something is its next request; several that are under way at once on one
// connection count as one.
func (p *Proxy) Requests() int64 { return p.requests.Load() }

// Cuts returns how many answers were cut so far.
func (p *Proxy) Cuts() int64 { return p.cuts.Load() }

// Refusals returns how many requests were refused so far.
func (p *Proxy) Refusals() int64 { return p.refusals.Load() }

// Listen listens on loopback in front of the server at target, host:port, and returns
// the address.
func (p *Proxy) Listen(target string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening in front of %s: %w", target, err)
	}
	p.mu.Lock()
	p.listeners = append(p.listeners, l)
	p.mu.Unlock()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			go p.serveClient(client, target)
		}
	}()
	return l.Addr().String(), nil
}

// Close takes no more connections, and cuts those that there are.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, l := range p.listeners {
		l.Close()
	}
	for c := range p.open {
		c.Close()
	}
}

// keepOpen makes a connection one that Close cuts, and reports whether it may go on.
func (p *Proxy) keepOpen(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *Proxy) closeConnection(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

func (p *Proxy) serveClient(client net.Conn, target string) {
	if !p.keepOpen(client) {
		return
	}
	defer p.closeConnection(client)
	server, err := net.Dial("tcp", target)
	if err != nil || !p.keepOpen(server) {
		return
	}
	defer p.closeConnection(server)
	p.connections.Add(1)
	c := &connection{proxy: p, client: client, server: server, own: pace{rate: p.profile.PerConnection}, answered: true}
	go c.passRequests()
	c.passAnswers()
}

// connection is one of a client, and the one to the server that belongs to it.
type connection struct {
	proxy          *Proxy
	client, server net.Conn
	own            pace

	mu       sync.Mutex
	answered bool // since it was asked
	// request is the number of the last one, counted over all connections.
	request int64
}

// delayed is a piece of a request on its way.
type delayed struct {
	due   time.Time
	bytes []byte
	// refused tells that the server never sees it.
	refused bool
}

// passRequests passes on each piece FirstByte after it came, and in order.
func (c *connection) passRequests() {
	line := make(chan delayed, ahead)
	go func() {
		defer close(line)
		buffer := make([]byte, pieceBytes)
		for {
			n, err := c.client.Read(buffer)
			if n > 0 {
				piece := delayed{due: time.Now().Add(c.proxy.profile.FirstByte), bytes: bytes.Clone(buffer[:n])}
				piece.refused = c.countRequest(piece.bytes)
				line <- piece
			}
			if err != nil {
				return
			}
		}
	}()
	failed := false
	for piece := range line {
		if failed {
			continue // until the client's end is closed
		}
		sleepFor(time.Until(piece.due))
		var err error
		if piece.refused {
			_, err = io.WriteString(c.client, refusal)
		} else {
			_, err = c.server.Write(piece.bytes)
		}
		failed = err != nil
	}
	c.server.Close()
}

// refusal is how a service of S3 asks to slow down.
var refusal = func() string {
	body := `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`
	return fmt.Sprintf("HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
}()

// countRequest counts a piece that begins a request, and reports whether the request is
// to be refused.
func (c *connection) countRequest(piece []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered {
		return false
	}
	every := c.proxy.profile.RefuseEvery
	c.request, c.answered = c.proxy.requests.Add(1), false
	if every == 0 || c.request%every != every/4 || !bytes.HasPrefix(piece, []byte("GET ")) || !bytes.HasSuffix(piece, []byte("\r\n\r\n")) {
		return false
	}
	c.answered = true // by the proxy
	c.proxy.refusals.Add(1)
	return true
}

// passAnswers passes on what the server sends until one end is closed.
func (c *connection) passAnswers() {
	buffer := make([]byte, pieceBytes)
	for {
		n, err := c.server.Read(buffer)
		if n > 0 && c.passAnswer(buffer[:n]) != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// errLost is the end of an answer that is cut.
var errLost = errors.New("the connection is lost")

func (c *connection) passAnswer(piece []byte) error {
	p := c.proxy.profile
	c.mu.Lock()
	begins, request := !c.answered, c.request
	c.answered = true
	c.mu.Unlock()
	sleepFor(max(c.own.reserveBytes(len(piece)), c.proxy.all.reserveBytes(len(piece))))
	half := piece[:len(piece)/2]
	switch {
	// Not at the same requests, should they be as frequent.
	case begins && p.CutEvery > 0 && request%p.CutEvery == p.CutEvery/2:
		c.proxy.cuts.Add(1)
		_, err := c.client.Write(half)
		return errors.Join(errLost, err)
	case begins && p.StallEvery > 0 && request%p.StallEvery == 0:
		if _, err := c.client.Write(half); err != nil {
			return err
		}
		sleepFor(p.Stall)
		piece = piece[len(half):]
	}
	_, err := c.client.Write(piece)
	return err
}

// sleepFor is what makes the distance; it waits for nothing else.
func sleepFor(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}
