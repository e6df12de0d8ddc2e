// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source/hdfs/block"
	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

const (
	// idleLimit is how long a connection is kept for the next range; datanodes
	// close it after 4 s.
	idleLimit = 3 * time.Second
	maxIdle   = 64
	// openLimit is how long a datanode has until its first byte.
	openLimit = 30 * time.Second

	clientName = "kuda"
)

// datanodes opens ranges of blocks at whichever replica is the best.
type datanodes struct {
	dial    dialer
	protect *protector
	health  health

	mu     sync.Mutex
	idle   map[string][]idleConn
	closed bool
}

type idleConn struct {
	conn *block.Conn
	at   time.Time
}

func newDatanodes(dial dialer, p *protector) *datanodes {
	return &datanodes{dial: dial, protect: p, idle: map[string][]idleConn{}}
}

// replica is a range that is being read from one datanode.
type replica struct {
	address string
	conn    *block.Conn
	stream  *block.Stream
}

// openError is why no replica could be opened.
type openError struct {
	// failed are the datanodes that were tried.
	failed []string
	err    error
}

func (e *openError) Error() string { return e.err.Error() }
func (e *openError) Unwrap() error { return e.err }

// openReplica opens a range of a block at the first of the datanodes that sends its
// first byte. The next one is asked when one fails, or is slower than others
// were; then the two race.
func (d *datanodes) openReplica(ctx context.Context, b *wire.Block, addresses []string, offset, length int64) (*replica, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel() // closes the connections of those who lost
	type result struct {
		replica *replica
		address string
		err     error
	}
	results := make(chan result, len(addresses))
	patience := time.NewTimer(d.health.hedgeDelay())
	defer patience.Stop()
	started, pending := 0, 0
	start := func() {
		address := addresses[started]
		started++
		pending++
		go func() {
			r, err := d.openAt(ctx, address, b, offset, length)
			results <- result{r, address, err}
		}()
	}
	failure := &openError{err: errors.New("no datanode has a replica of the block; they may be down")}
	if len(addresses) > 0 {
		start()
	}
	for pending > 0 {
		select {
		case r := <-results:
			pending--
			if r.err == nil {
				go func() {
					for range pending {
						if late := <-results; late.replica != nil {
							late.replica.conn.Close()
						}
					}
				}()
				return r.replica, nil
			}
			failure.failed = append(failure.failed, r.address)
			failure.err = fmt.Errorf("datanode %s: %w", r.address, r.err)
			if ctx.Err() == nil {
				d.health.recordFailure(r.address)
				if started < len(addresses) {
					start()
				}
			}
		case <-patience.C:
			if started < len(addresses) {
				start()
				patience.Reset(d.health.hedgeDelay())
			}
		}
	}
	return nil, failure
}

// openAt opens a range at one datanode. A connection that was kept may be closed
// by now; then a new one is made.
func (d *datanodes) openAt(ctx context.Context, address string, b *wire.Block, offset, length int64) (*replica, error) {
	begun := time.Now()
	for {
		conn := d.takeIdle(address)
		kept := conn != nil
		if !kept {
			var err error
			if conn, err = d.connectDatanode(ctx, address, b); err != nil {
				return nil, err
			}
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		stream, err := conn.Open(b, clientName, offset, length)
		if !stop() {
			conn.Close()
			return nil, context.Cause(ctx)
		}
		if err == nil {
			d.health.recordLatency(address, time.Since(begun))
			return &replica{address: address, conn: conn, stream: stream}, nil
		}
		conn.Close()
		refused, ok := errors.AsType[*block.RefusedError](err)
		if ok && refused.Expired() {
			d.protect.forgetKey()
		}
		if ok || !kept || errors.Is(err, block.ErrChecksum) {
			return nil, err
		}
	}
}

func (d *datanodes) connectDatanode(ctx context.Context, address string, b *wire.Block) (*block.Conn, error) {
	security, err := d.protect.securityFor(ctx, address)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	if conn, err = d.dial(ctx, "tcp", address); err != nil {
		return nil, err
	}
	c, err := block.NewConn(ctx, conn, security, b)
	if refused, ok := errors.AsType[*block.RefusedError](err); ok && refused.Expired() {
		d.protect.forgetKey()
	}
	return c, err
}

// takeIdle returns a connection that was kept, or nil.
func (d *datanodes) takeIdle(address string) *block.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.idle[address]
	for len(kept) > 0 {
		last := kept[len(kept)-1]
		kept = kept[:len(kept)-1]
		d.idle[address] = kept
		if time.Since(last.at) < idleLimit {
			return last.conn
		}
		last.conn.Close()
	}
	delete(d.idle, address)
	return nil
}

// keepIdle keeps a connection for the next range.
func (d *datanodes) keepIdle(address string, conn *block.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.idle[address]
	for len(kept) > 0 && (time.Since(kept[0].at) >= idleLimit || len(kept) >= maxIdle) {
		kept[0].conn.Close()
		kept = kept[1:]
	}
	if d.closed {
		conn.Close()
		return
	}
	d.idle[address] = append(kept, idleConn{conn, time.Now()})
}

func (d *datanodes) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, kept := range d.idle {
		for _, k := range kept {
			k.conn.Close()
		}
	}
	clear(d.idle)
}
