// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// listenUnix listens at a path. The socket appears there ready for use, in place of
// one that an earlier process left. Every process that sees its directory may
// connect: only the plugin's container and the runtime's do, perhaps as different
// users.
func listenUnix(path string) (net.Listener, error) {
	staged := filepath.Join(filepath.Dir(path), ".s") // short: a socket's path has at most 107 bytes
	if err := os.Remove(staged); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	l, err := net.Listen("unix", staged)
	if err != nil {
		return nil, err
	}
	// The name is another one by the time it closes.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(staged, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	if err := os.Rename(staged, path); err != nil {
		l.Close()
		return nil, fmt.Errorf("putting the socket into place: %w", err)
	}
	return l, nil
}
