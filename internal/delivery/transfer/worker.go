// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
)

// work does tasks until there are none.
func (d *delivery) work(ctx context.Context, wide bool) error {
	buffers := d.engine.small
	if wide {
		buffers = d.engine.wide
	}
	for {
		t, ok := d.queue.next(wide)
		if !ok {
			return nil
		}
		buffer, err := buffers.get(ctx)
		if err != nil {
			return err
		}
		err = d.do(ctx, t, buffer)
		buffers.put(buffer)
		if err != nil {
			return err
		}
	}
}

// do does one task. Where the source cannot go on in the middle of a file, it
// is read again from its start.
func (d *delivery) do(ctx context.Context, t task, buffer []byte) error {
	for failures := 1; ; failures++ {
		var err error
		if t.file.entry.Size <= smallBytes {
			err = d.fetchSmall(ctx, t.file, buffer)
		} else {
			err = d.fetchRange(ctx, &t, buffer)
		}
		if err == nil || t.file.ranges() || !d.engine.policy.Again(ctx, failures, err) {
			return err
		}
		d.report.done.Add(-t.moved)
		t.moved = 0
	}
}

// fetchSmall reads a file into the buffer and writes it with one call.
func (d *delivery) fetchSmall(ctx context.Context, f *file, buffer []byte) error {
	content := buffer[:f.entry.Size]
	if len(content) > 0 {
		body, err := d.source.Open(ctx, f.entry, 0, f.entry.Size)
		if err != nil {
			return err
		}
		err = readAll(body, content)
		body.Close()
		if err != nil {
			return err
		}
	}
	d.report.received.Add(f.entry.Size)
	out, err := d.create(f)
	if err != nil {
		return err
	}
	if _, err := out.Write(content); err != nil {
		out.Close()
		return d.writeError("writing", err, f)
	}
	d.report.done.Add(f.entry.Size)
	if len(content) > 0 {
		var block digest.Block
		block.Write(content)
		f.sums = []digest.Sum{block.Next()}
	}
	sum := ""
	if d.needsSHA256(f) {
		sum = fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	}
	return d.finish(f, out, sum)
}

// readAll fills content with the whole of a body, whose end it sees.
func readAll(body io.Reader, content []byte) error {
	if _, err := io.ReadFull(body, content); err != nil {
		return err
	}
	return atEnd(body)
}

func atEnd(body io.Reader) error {
	var more [1]byte
	n, err := body.Read(more[:])
	if n > 0 {
		return &source.Error{Op: "reading", Class: source.ErrChanged, Err: errors.New("the body goes on after its end")}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// fetchRange reads a range of a large file block by block.
func (d *delivery) fetchRange(ctx context.Context, t *task, buffer []byte) error {
	f := t.file
	out, err := d.begin(ctx, f)
	if err != nil {
		return err
	}
	body, err := d.source.Open(ctx, f.entry, t.offset, t.length)
	if err != nil {
		return err
	}
	defer body.Close()
	for offset, end := t.offset, t.offset+t.length; offset < end; {
		n := min(digest.BlockSize, end-offset)
		sum, err := d.fetchBlock(t, out, body, offset, n, buffer)
		if err != nil {
			return err
		}
		if err := d.landed(f, int(offset/digest.BlockSize), sum); err != nil {
			return err
		}
		offset += n
	}
	if err := atEnd(body); err != nil {
		return err
	}
	if f.wrote(t.length) && f.follower == nil {
		return d.finish(f, out, "")
	}
	return nil
}

// fetchBlock moves one block from the body to the disk, hashing it in between.
func (d *delivery) fetchBlock(t *task, out *os.File, body io.Reader, offset, length int64, buffer []byte) (digest.Sum, error) {
	var block digest.Block
	for end := offset + length; offset < end; {
		n, err := io.ReadFull(body, buffer[:min(int64(len(buffer)), end-offset)])
		if err != nil {
			return digest.Sum{}, err
		}
		d.report.received.Add(int64(n))
		block.Write(buffer[:n])
		if _, err := out.WriteAt(buffer[:n], offset); err != nil {
			return digest.Sum{}, d.writeError("writing", err, t.file)
		}
		t.moved += int64(n)
		d.report.done.Add(int64(n))
		offset += int64(n)
	}
	return block.Next(), nil
}

// landed records a block that is on the disk.
func (d *delivery) landed(f *file, index int, sum digest.Sum) error {
	f.sums[index] = sum
	if f.ranges() {
		if err := d.writer.Block(f.path, index, sum); err != nil {
			return err
		}
	}
	if f.follower != nil {
		f.follower.add(index)
	}
	return nil
}
