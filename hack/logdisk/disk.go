// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// The kinds of records.
const (
	kindWrite = 'W'
	kindFlush = 'F'
	// headerBytes is the length of a record without its data.
	headerBytes = 17
)

// disk is the file. Its requests come one at a time.
type disk struct {
	fs.Inode
	image, log *os.File
	size       uint64
}

var (
	_ fs.NodeOpener    = (*disk)(nil)
	_ fs.NodeReader    = (*disk)(nil)
	_ fs.NodeWriter    = (*disk)(nil)
	_ fs.NodeFsyncer   = (*disk)(nil)
	_ fs.NodeGetattrer = (*disk)(nil)
)

func open(image, log string) (*disk, error) {
	i, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the image: %w", err)
	}
	info, err := i.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the image: %w", err)
	}
	l, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the log: %w", err)
	}
	return &disk{image: i, log: l, size: uint64(info.Size())}, nil
}

func (d *disk) close() error { return errors.Join(d.image.Close(), d.log.Close()) }

// record appends a record to the log.
func (d *disk) record(kind byte, offset int64, data []byte) error {
	b := make([]byte, headerBytes, headerBytes+len(data))
	b[0] = kind
	binary.BigEndian.PutUint64(b[1:], uint64(offset))
	binary.BigEndian.PutUint64(b[9:], uint64(len(data)))
	_, err := d.log.Write(append(b, data...))
	return err
}

// Open lets nothing of the file be cached: the loop device above has a cache.
func (d *disk) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (d *disk) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = fuse.S_IFREG|0o600, d.size
	return 0
}

func (d *disk) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	n, err := d.image.ReadAt(dest, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (d *disk) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if uint64(offset)+uint64(len(data)) > d.size {
		return 0, syscall.ENOSPC
	}
	if err := d.record(kindWrite, offset, data); err != nil {
		return 0, fs.ToErrno(err)
	}
	n, err := d.image.WriteAt(data, offset)
	return uint32(n), fs.ToErrno(err)
}

func (d *disk) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return fs.ToErrno(d.record(kindFlush, 0, nil))
}
