// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

const (
	version = 28
	opRead  = 81
	// opChecksum asks for the checksum of a block.
	opChecksum = 85

	// bufferBytes is enough for some packets of 64 KiB, so that the kernel is
	// asked seldom, and little enough to stay in a processor's cache.
	bufferBytes = 256 << 10

	// maxMessage bounds what a datanode may say before the first packet.
	maxMessage = 1 << 20
)

// Conn is a connection to a datanode. It does one thing at a time.
type Conn struct {
	net.Conn
	in  *bufio.Reader
	out io.Writer
}

// Security is how to authenticate to datanodes.
type Security struct {
	// Protection is the least that is accepted.
	Protection Protection
	// Key is the cluster's key for transfers, where it encrypts all of them; else
	// the block's token authenticates.
	Key *wire.EncryptionKey
}

// NewConn makes a connection to a datanode of conn, which it closes when that
// fails. Without security there is no authentication.
func NewConn(ctx context.Context, conn net.Conn, s *Security, b *wire.Block) (*Conn, error) {
	c := &Conn{Conn: conn, in: bufio.NewReaderSize(conn, bufferBytes), out: conn}
	if s == nil {
		return c, nil
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := c.negotiateSASL(*s, b)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("authenticating to the datanode: %w", err)
	}
	return c, nil
}

// RefusedError is the answer of a datanode that does not send a block.
type RefusedError struct {
	// Status of datatransfer.proto.
	Status  uint64
	Message string
}

// Error is the datanode's message.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the datanode refused (status %d): %s", e.Status, e.Message)
}

// Expired reports whether the block's token is not accepted any more.
func (e *RefusedError) Expired() bool { return e.Status == wire.StatusAccessToken }

// Open asks for length bytes of a block from offset on, and waits until the
// first of them are there.
func (c *Conn) Open(b *wire.Block, client string, offset, length int64) (*Stream, error) {
	request := binary.BigEndian.AppendUint16(nil, version)
	request = append(request, opRead)
	request = wire.Delimited(request, wire.ReadRequest(b, client, offset, length))
	if _, err := c.out.Write(request); err != nil {
		return nil, err
	}
	body, err := c.readMessage()
	if err != nil {
		return nil, err
	}
	r, err := wire.ParseReadResponse(body)
	if err != nil {
		return nil, fmt.Errorf("reading the datanode's answer: %w", err)
	}
	if r.Status != wire.StatusSuccess {
		return nil, &RefusedError{Status: r.Status, Message: r.Message}
	}
	s, err := newStream(c, r, offset, length)
	if err != nil {
		return nil, err
	}
	return s, s.readChunks()
}

// readMessage reads a message with its length in front.
func (c *Conn) readMessage() ([]byte, error) {
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return nil, wire.UnexpectedEOF(err)
	}
	if n > maxMessage {
		return nil, fmt.Errorf("the datanode sends a message of %d bytes; is it the port of data transfers?", n)
	}
	body := make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	return body, wire.UnexpectedEOF(err)
}
