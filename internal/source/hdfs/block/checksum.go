// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// ErrNoChecksum says that the datanode does not have the CRC-32C of a block's bytes.
var ErrNoChecksum = errors.New("the datanode has no CRC-32C of the block")

// Checksum asks for the CRC-32C of a block's bytes, which the datanode makes of the
// checksums that it keeps. The connection cannot be used for anything else afterwards.
func (c *Conn) Checksum(b *wire.Block) (uint32, error) {
	request := binary.BigEndian.AppendUint16(nil, version)
	request = append(request, opChecksum)
	request = wire.Delimited(request, wire.ChecksumRequest(b))
	if _, err := c.out.Write(request); err != nil {
		return 0, err
	}
	body, err := c.readMessage()
	if err != nil {
		return 0, err
	}
	r, err := wire.ParseChecksumResponse(body)
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the datanode's answer: %w", err)
	case r.Status != wire.StatusSuccess:
		return 0, &RefusedError{Status: r.Status, Message: r.Message}
	case r.Kind != wire.ChecksumCRC32C || !r.Composite || len(r.Sum) != 4:
		return 0, ErrNoChecksum
	}
	return binary.BigEndian.Uint32(r.Sum), nil
}
