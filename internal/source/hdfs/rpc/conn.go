// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

const (
	// maxResponse bounds the memory that a server can make a client use.
	maxResponse = 128 << 20
	// silence is how long a server may leave a call without an answer before the
	// connection counts as broken.
	silence = 30 * time.Second

	authSimple = 0x00
	authSASL   = 0xdf
)

// Options describe a connection.
type Options struct {
	// Protocol is the name of the Java interface that is called.
	Protocol string
	// User is who calls; not used with Kerberos.
	User string
	// Kerberos authenticates; nil for none.
	Kerberos *Kerberos
}

// RemoteError is what a server answered instead of a result.
type RemoteError struct {
	// Exception is the name of a Java class.
	Exception string
	// Message of the exception, often with a stack trace after the first line.
	Message string
}

// Error is the exception and its message.
func (e *RemoteError) Error() string { return e.Exception + ": " + e.Message }

// Conn is a connection. It is safe for use by several goroutines.
type Conn struct {
	conn     net.Conn
	in       *bufio.Reader
	protocol string
	clientID []byte
	// security protects the messages, nil for none.
	security *security

	write sync.Mutex

	mu      sync.Mutex
	next    int32
	waiting map[int32]chan<- result
	broken  error
}

type result struct {
	body []byte
	err  error
}

// New greets the server at the other end of conn, which it closes when that
// fails. The handshake takes place within the time that ctx leaves.
func New(ctx context.Context, conn net.Conn, o Options) (*Conn, error) {
	c := &Conn{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), protocol: o.Protocol,
		clientID: make([]byte, 16), waiting: map[int32]chan<- result{}}
	_, _ = rand.Read(c.clientID)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := c.greetServer(o)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	go c.receiveResponses()
	return c, nil
}

func (c *Conn) greetServer(o Options) error {
	auth := byte(authSimple)
	if o.Kerberos != nil {
		auth = authSASL
	}
	if _, err := c.conn.Write([]byte{'h', 'r', 'p', 'c', 9, 0, auth}); err != nil {
		return err
	}
	if o.Kerberos != nil {
		if err := c.negotiateSASL(o.Kerberos); err != nil {
			return err
		}
		o.User = ""
	}
	return c.sendMessage(wire.CallConnectionContext, wire.ConnectionContext(o.Protocol, o.User))
}

// sendMessage writes one message: a header and what follows it.
func (c *Conn) sendMessage(call int32, parts ...[]byte) error {
	message := frameMessage(c.clientID, call, parts...)
	c.write.Lock()
	defer c.write.Unlock()
	if c.security != nil {
		token, err := c.security.wrapMessage(message)
		if err != nil {
			return err
		}
		message = frameMessage(c.clientID, wire.CallSASL, wire.SASL{State: wire.SASLWrap, Token: token}.Marshal())
	}
	_, err := c.conn.Write(message)
	return err
}

func frameMessage(clientID []byte, call int32, parts ...[]byte) []byte {
	b := make([]byte, 4, 256)
	b = wire.Delimited(b, wire.RequestHeader(call, clientID))
	for _, part := range parts {
		b = wire.Delimited(b, part)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// readMessage returns the next message and what follows its header.
func readMessage(in io.Reader) (wire.ResponseHeader, []byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return wire.ResponseHeader{}, nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxResponse {
		return wire.ResponseHeader{}, nil, fmt.Errorf("the server sends %d bytes at once; is it the port of a namenode's RPC?", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return wire.ResponseHeader{}, nil, wire.UnexpectedEOF(err)
	}
	return parseResponse(body)
}

func parseResponse(message []byte) (wire.ResponseHeader, []byte, error) {
	head, rest, err := wire.CutDelimited(message)
	if err != nil {
		return wire.ResponseHeader{}, nil, fmt.Errorf("reading an answer: %w", err)
	}
	h, err := wire.ParseResponseHeader(head)
	if err != nil {
		return h, nil, fmt.Errorf("reading an answer: %w", err)
	}
	return h, rest, nil
}

// receiveResponses hands responses to the calls that wait for them, until the connection ends.
func (c *Conn) receiveResponses() {
	for {
		h, body, err := c.receiveOne()
		if err != nil {
			c.closeWithError(err)
			return
		}
		c.mu.Lock()
		waiting := c.waiting[h.Call]
		delete(c.waiting, h.Call)
		c.mu.Unlock()
		if waiting == nil {
			continue // the caller did not wait any longer
		}
		if h.Status != 0 {
			waiting <- result{err: remoteError(h)}
			continue
		}
		message, _, err := wire.CutDelimited(body)
		waiting <- result{message, err}
	}
}

func (c *Conn) receiveOne() (wire.ResponseHeader, []byte, error) {
	h, body, err := readMessage(c.in)
	if err == nil && c.security != nil && h.Call == wire.CallSASL {
		var message []byte
		if message, err = c.security.unwrapMessage(body); err != nil {
			return h, nil, err
		}
		if len(message) < 4 {
			return h, nil, io.ErrUnexpectedEOF
		}
		h, body, err = parseResponse(message[4:])
	}
	if err == nil && h.Status > 1 {
		err = remoteError(h) // the server ends the connection
	}
	return h, body, err
}

func remoteError(h wire.ResponseHeader) error {
	return &RemoteError{Exception: h.Exception, Message: h.Message}
}

// closeWithError ends the connection and every call on it.
func (c *Conn) closeWithError(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = err
	}
	c.conn.Close()
	for call, waiting := range c.waiting {
		waiting <- result{err: c.broken}
		delete(c.waiting, call)
	}
}

// ErrSilent tells that the server took a call and did not answer it.
var ErrSilent = fmt.Errorf("the server did not answer for %v", silence)

// errClosed is the error of calls on a closed connection.
var errClosed = errors.New("the connection is closed")

// Close ends the connection.
func (c *Conn) Close() { c.closeWithError(errClosed) }

// Broken reports whether the connection is of no use any more.
func (c *Conn) Broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken != nil
}

// Call calls a method with a message and returns the answer's. An error that is
// not a *RemoteError or the context's means that the connection is broken.
func (c *Conn) Call(ctx context.Context, method string, request []byte) ([]byte, error) {
	answer := make(chan result, 1)
	c.mu.Lock()
	if c.broken != nil {
		c.mu.Unlock()
		return nil, c.broken
	}
	call := c.next
	c.next = (c.next + 1) & 0x7fffffff // negative ones have meanings
	c.waiting[call] = answer
	c.mu.Unlock()

	if err := c.sendMessage(call, wire.MethodHeader(c.protocol, method), request); err != nil {
		c.closeWithError(err)
	}
	timeout := time.NewTimer(silence)
	defer timeout.Stop()
	select {
	case r := <-answer:
		return r.body, r.err
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.waiting, call)
		c.mu.Unlock()
		return nil, context.Cause(ctx)
	case <-timeout.C:
		c.closeWithError(ErrSilent)
		return nil, ErrSilent
	}
}
