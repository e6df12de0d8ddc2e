// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func TestWritesAndFlushesAreLoggedInTheirOrder(t *testing.T) {
	dir := t.TempDir()
	image, log := filepath.Join(dir, "image"), filepath.Join(dir, "log")
	if err := os.WriteFile(image, make([]byte, 1024), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := open(image, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, w := range []struct {
		text   string
		offset int64
	}{{"one", 3}, {"two", 512}} {
		if n, errno := d.Write(ctx, nil, []byte(w.text), w.offset); n != 3 || errno != 0 {
			t.Errorf("wrote %d bytes, %v", n, errno)
		}
		if errno := d.Fsync(ctx, nil, 0); errno != 0 {
			t.Error(errno)
		}
	}
	if _, errno := d.Write(ctx, nil, []byte("beyond"), 1020); errno != syscall.ENOSPC {
		t.Errorf("writing beyond the end: %v", errno)
	}
	buffer := make([]byte, 8)
	got, errno := d.Read(ctx, nil, buffer, 510)
	if errno != 0 {
		t.Fatal(errno)
	}
	if text, _ := got.Bytes(nil); string(text) != "\x00\x00two\x00\x00\x00" {
		t.Errorf("read %q", text)
	}
	var out fuse.AttrOut
	if errno := d.Getattr(ctx, nil, &out); errno != 0 || out.Size != 1024 {
		t.Errorf("size %d, %v", out.Size, errno)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	want := append([]byte("W\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03one"), bytes.Join([][]byte{
		append([]byte("F"), make([]byte, 16)...),
		[]byte("W\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x03two"),
		append([]byte("F"), make([]byte, 16)...),
	}, nil)...)
	if text, err := os.ReadFile(log); err != nil || !bytes.Equal(text, want) {
		t.Errorf("logged %q, %v", text, err)
	}
}

func TestAnImageThatIsMissingIsAnError(t *testing.T) {
	dir := t.TempDir()
	if _, err := open(filepath.Join(dir, "none"), filepath.Join(dir, "log")); err == nil {
		t.Error("no error")
	}
}
