// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Table is the kernel's list of what is mounted here.
type Table struct {
	// File is the list: /proc/self/mountinfo.
	File string
	// Pods is the kubelet's directory of pods.
	Pods string
}

// Read reads which volumes are mounted now.
func (t Table) Read() (Volumes, error) {
	fd, err := unix.Open(t.File, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Volumes{}, fmt.Errorf("reading what is mounted: %s: %w", t.File, err)
	}
	defer func() { _ = unix.Close(fd) }()
	return parse(reader(fd), t.Pods)
}

// reader reads from the number of an open file. An os.File would be put into Go's
// own poller, which takes the events away.
type reader int

func (r reader) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(r), p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Watch calls changed after each change of the list, until the context ends. Changes in a
// row may be told once.
func (t Table) Watch(ctx context.Context, changed func()) error {
	list, err := unix.Open(t.File, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("watching what is mounted: %s: %w", t.File, err)
	}
	defer func() { _ = unix.Close(list) }()
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watching what is mounted: %w", err)
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(end, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		close(done)
	})
	defer func() {
		if !stop() {
			<-done
		}
		_ = unix.Close(end)
	}()
	for {
		fds := []unix.PollFd{{Fd: int32(list), Events: unix.POLLPRI}, {Fd: int32(end), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("watching what is mounted: %w", err)
		case fds[0].Revents != 0:
			changed()
		}
	}
}
