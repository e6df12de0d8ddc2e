// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/crc"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/block"
	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// Prove puts the CRC-32C of a file together of those of its blocks. Finding the blocks
// takes the right to read the file. A file whose blocks have checksums of another kind has
// none.
func (s *Source) Prove(ctx context.Context, e source.Entry) (string, error) {
	op := "asking for the checksum of " + s.identity + e.Key
	locations, err := s.locateBlocks(ctx, e, nil)
	if err != nil {
		return "", s.classifyError(ctx, op, err)
	}
	var sum uint64
	for i := range locations.Blocks {
		b := &locations.Blocks[i]
		next, err := s.blockChecksum(ctx, b)
		if errors.Is(err, block.ErrNoChecksum) {
			return "", nil
		}
		if err != nil {
			return "", s.classifyError(ctx, op, err)
		}
		sum = crc.Castagnoli.Combine(sum, uint64(next), b.Length)
		source.Alive(ctx)
	}
	return crc.Castagnoli.Text(sum), nil
}

// blockChecksum asks one datanode after the other.
func (s *Source) blockChecksum(ctx context.Context, b *wire.Block) (sum uint32, err error) {
	err = errors.New("no datanode has a replica of the block; they may be down")
	for _, node := range b.Nodes {
		sum, err = s.datanodes.checksumAt(ctx, node.Address, b)
		if err == nil || errors.Is(err, block.ErrNoChecksum) || ctx.Err() != nil {
			return sum, err
		}
		err = fmt.Errorf("datanode %s: %w", node.Address, err)
	}
	return 0, err
}

func (d *datanodes) checksumAt(ctx context.Context, address string, b *wire.Block) (uint32, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	conn, err := d.connectDatanode(ctx, address, b)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return conn.Checksum(b)
}

// Original is the file's URL at the first namenode, and when it was written.
func (s *Source) Original(e source.Entry) source.Original {
	o := source.Original{Hosts: s.namenodes.addresses, Path: strings.TrimPrefix(e.Key, "/")}
	o.URL = "hdfs://" + o.Hosts[0] + "/" + o.Path
	if parts := strings.Split(strings.TrimPrefix(string(e.Identity), "W/"), "-"); len(parts) == 3 {
		if ms, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
			o.Modified = time.UnixMilli(ms)
		}
	}
	return o
}
