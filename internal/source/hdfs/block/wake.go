// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"net"
	"syscall"
)

const (
	// wakeBytes is how much has to arrive before the reader is woken: waking it for
	// every packet costs as much processor time as checking the packet does.
	wakeBytes = 128 << 10
	// wakeMargin is how much must be left to come for it, so that no reader waits
	// for bytes that will never be sent.
	wakeMargin = 2 * wakeBytes
)

// wakeAt sets how many bytes must have arrived before a reader of the connection
// is woken. It is of no consequence where it does not work.
func wakeAt(conn net.Conn, n int) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n)
	})
}
