// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/rpc"
)

const (
	namenodeProtocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
	// connectLimit is how long connecting to a namenode may take, login included.
	connectLimit = 20 * time.Second
)

var errClosed = errors.New("the source is closed")

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// namenodes is one connection to the namenode that is active, shared by all
// calls. It moves on to the next namenode when one is not active or fails.
type namenodes struct {
	addresses []string
	user      string
	kerberos  *Kerberos
	dial      dialer
	// ends when the source is closed
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	at      int
	current *connecting
}

// connecting is a connection that is there, or on the way.
type connecting struct {
	done chan struct{}
	conn *rpc.Conn
	err  error
	// stop ends the wait for the source's end.
	stop func() bool
}

// closeConnection closes the connection, if there is one.
func (c *connecting) closeConnection() {
	if c.conn != nil {
		c.stop()
		c.conn.Close()
	}
}

// callActive calls a method of the active namenode. All calls only read, so one whose
// connection breaks is made again on another.
func (n *namenodes) callActive(ctx context.Context, method string, request []byte) ([]byte, error) {
	var first error
	// Each namenode gets two chances: a connection that was idle for long is found
	// broken only when it is used.
	for i := range 2 * len(n.addresses) {
		c, err := n.currentConnection(ctx)
		if err != nil {
			return nil, err
		}
		<-c.done
		err = c.err
		if err == nil {
			var answer []byte
			if answer, err = c.conn.Call(ctx, method, request); err == nil {
				return answer, nil
			}
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if c.isFinal(err) || isLoginRefused(err) { // a login that is refused would be by the others
			return nil, err
		}
		// A connection that broke may only have been idle for too long.
		n.dropConnection(c, isStandby(err) || c.conn == nil || i > 0)
		// That one is on standby is no news when another cannot be reached.
		if first == nil || isStandby(first) {
			first = err
		}
		if errors.Is(err, rpc.ErrSilent) && len(n.addresses) == 1 {
			break
		}
	}
	return nil, first
}

// isFinal reports whether an error is the active namenode's own, which another call
// would not change.
func (c *connecting) isFinal(err error) bool {
	_, ok := errors.AsType[*rpc.RemoteError](err)
	return ok && !isStandby(err) && (c.conn == nil || !c.conn.Broken())
}

// isLoginRefused reports whether the login failed for good.
func isLoginRefused(err error) bool {
	if _, ok := errors.AsType[*rpc.TicketError](err); ok {
		return !errors.Is(ticketClass(err), source.ErrUnreachable)
	}
	_, ok := errors.AsType[*source.Error](err)
	return ok && !source.Temporary(err)
}

// currentConnection returns the connection, once it is there.
func (n *namenodes) currentConnection(ctx context.Context) (*connecting, error) {
	n.mu.Lock()
	if n.current != nil && n.current.isBroken() {
		n.current.closeConnection()
		n.current = nil
	}
	if n.current == nil {
		n.current = &connecting{done: make(chan struct{})}
		go n.openConnection(n.current, n.addresses[n.at])
	}
	c := n.current
	n.mu.Unlock()
	select {
	case <-c.done:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx) // others may wait for it
	}
}

// isBroken reports whether a connection was there and is broken.
func (c *connecting) isBroken() bool {
	select {
	case <-c.done:
		return c.err != nil || c.conn.Broken()
	default:
		return false
	}
}

func (n *namenodes) openConnection(c *connecting, address string) {
	defer close(c.done)
	ctx, cancel := context.WithTimeout(n.ctx, connectLimit)
	defer cancel()
	c.conn, c.err = n.openOne(ctx, address)
	if c.err == nil {
		c.stop = context.AfterFunc(n.ctx, c.conn.Close)
	}
}

func (n *namenodes) openOne(ctx context.Context, address string) (*rpc.Conn, error) {
	conn, err := n.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	o := rpc.Options{Protocol: namenodeProtocol, User: n.user}
	if n.kerberos != nil {
		if o.Kerberos, err = n.kerberos.requestTicket(address); err != nil {
			conn.Close()
			return nil, err
		}
		defer o.Kerberos.Client.Destroy()
	}
	return rpc.New(ctx, conn, o)
}

// dropConnection gives up a connection. The next call goes to the next namenode, or to
// the same one when only the connection is to blame.
func (n *namenodes) dropConnection(c *connecting, next bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current != c {
		return // another goroutine did
	}
	n.current = nil
	if next {
		n.at = (n.at + 1) % len(n.addresses)
	}
	c.closeConnection()
}

func (n *namenodes) close() { n.cancel(errClosed) }
