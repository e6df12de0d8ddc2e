// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"net"
)

// FreeAddress returns host:port of a port of the address that is free now.
func (o Options) FreeAddress() (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(o.Address, "0"))
	if err != nil {
		return "", fmt.Errorf("%w; give an --address of this machine", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
