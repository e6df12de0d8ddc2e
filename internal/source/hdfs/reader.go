// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/block"
	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

const (
	// stall is how long a datanode may pause in the middle of a range before
	// another replica is read on.
	stall = 15 * time.Second
	// finishLimit is how long the end of a range may take whose bytes are all here;
	// after it the connection is given up.
	finishLimit = 100 * time.Millisecond
)

// reader reads a range of a file, block by block, from one replica of each at a
// time.
type reader struct {
	ctx    context.Context
	op     string
	source *Source
	entry  source.Entry

	locations     *wire.Locations
	position, end int64

	replica *replica
	// part is how much is left of what the replica sends.
	part int64
	// stop ends the watch of ctx over the replica's connection.
	stop func() bool

	// failed are the datanodes that failed in the current block.
	failed []string
	block  *wire.Block
	// renewed tells that the locations were asked for again in the current block.
	renewed bool
	err     error
	closed  bool
}

func (r *reader) Read(p []byte) (int, error) {
	for r.err == nil && !r.closed {
		if r.position == r.end {
			r.finishReplica()
			return 0, io.EOF
		}
		if len(p) == 0 {
			return 0, nil
		}
		if r.replica == nil {
			if r.err = r.openAtPosition(); r.err != nil {
				break
			}
		}
		_ = r.replica.conn.SetReadDeadline(time.Now().Add(stall)) // fails where reading does too
		n, err := r.replica.stream.Read(p)
		r.position += int64(n)
		r.part -= int64(n)
		if r.part == 0 {
			r.finishReplica()
		} else if err != nil {
			r.failReplica(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	return 0, r.err
}

// failReplica gives up a replica in the middle of its range.
func (r *reader) failReplica(err error) {
	address := r.replica.address
	interrupted := r.dropReplica()
	if interrupted || context.Cause(r.ctx) != nil {
		r.err = source.Wrap(r.ctx, r.op, err)
		return
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.source.datanodes.health.recordFailure(address)
	r.failed = append(r.failed, address)
	if len(r.untriedReplicas()) == 0 {
		r.err = r.exhaustedError(fmt.Errorf("datanode %s: %w", address, err))
	}
}

// untriedReplicas are the replicas of the current block that did not fail yet.
func (r *reader) untriedReplicas() []wire.Datanode {
	return slices.DeleteFunc(slices.Clone(r.block.Nodes), func(n wire.Datanode) bool { return slices.Contains(r.failed, n.Address) })
}

// openAtPosition opens a replica of the block at the reader's position.
func (r *reader) openAtPosition() error {
	for {
		if b := blockAt(r.locations, r.position); b != r.block {
			r.block, r.failed, r.renewed = b, nil, false
		}
		if r.block == nil {
			return &source.Error{Op: r.op, Class: source.ErrTemporary, Err: errors.New("the namenode does not know where all of it is")}
		}
		offset := r.position - r.block.Offset
		length := min(r.end-r.position, r.block.Length-offset)
		datanodes := r.source.datanodes
		replica, err := datanodes.openReplica(r.ctx, r.block, datanodes.health.orderReplicas(r.untriedReplicas(), time.Now()), offset, length)
		if err == nil {
			r.replica, r.part = replica, length
			r.stop = context.AfterFunc(r.ctx, func() { replica.conn.Close() })
			datanodes.health.beginRead(replica.address)
			return nil
		}
		if context.Cause(r.ctx) != nil {
			return source.Wrap(r.ctx, r.op, err)
		}
		if r.renewed || errors.Is(err, block.ErrChecksum) || errors.Is(err, block.ErrProtection) {
			return r.exhaustedError(err)
		}
		// The block may have moved, or its token expired.
		if err := r.renewLocations(); err != nil {
			return err
		}
	}
}

// renewLocations asks for the locations again, and makes sure that they are of the same
// file.
func (r *reader) renewLocations() error {
	locations, err := r.source.locateBlocks(r.ctx, r.entry, r.locations)
	if err != nil {
		return r.source.classifyError(r.ctx, r.op, err)
	}
	r.locations = locations
	r.block, r.failed, r.renewed = blockAt(locations, r.position), nil, true
	return nil
}

// exhaustedError is the error when every replica failed, the last one with err.
func (r *reader) exhaustedError(err error) error {
	class := source.ErrTemporary
	text := "every replica failed, the last one"
	switch {
	case errors.Is(err, block.ErrProtection):
		class, text = source.ErrMisconfigured, "correct dataTransferProtection"
	case r.block.Corrupt || errors.Is(err, block.ErrChecksum):
		text = "every replica is corrupt; look for it with 'hdfs fsck'"
	}
	return &source.Error{Op: r.op, Class: class, Err: fmt.Errorf("%s: %w", text, err)}
}

// blockAt returns the block of an offset, nil when there is none.
func blockAt(l *wire.Locations, offset int64) *wire.Block {
	i := sort.Search(len(l.Blocks), func(i int) bool { return l.Blocks[i].Offset+l.Blocks[i].Length > offset })
	if i == len(l.Blocks) {
		return nil
	}
	return &l.Blocks[i]
}

// finishReplica gives the connection back for the next range.
func (r *reader) finishReplica() {
	replica := r.replica
	if replica == nil {
		return
	}
	_ = replica.conn.SetReadDeadline(time.Now().Add(finishLimit))
	err := replica.stream.Finish()
	_ = replica.conn.SetReadDeadline(time.Time{})
	interrupted := r.releaseReplica()
	if err != nil || interrupted {
		replica.conn.Close()
		return
	}
	r.source.datanodes.keepIdle(replica.address, replica.conn)
}

// dropReplica closes the connection, and reports whether it was the context that did.
func (r *reader) dropReplica() (interrupted bool) {
	conn := r.replica.conn
	interrupted = r.releaseReplica()
	conn.Close()
	return interrupted
}

func (r *reader) releaseReplica() (interrupted bool) {
	interrupted = !r.stop()
	r.source.datanodes.health.endRead(r.replica.address)
	r.replica = nil
	return interrupted
}

// Close ends the reading. A connection in the middle of a range is of no use to
// others.
func (r *reader) Close() error {
	r.closed = true
	if r.replica != nil {
		r.dropReplica()
	}
	return nil
}
