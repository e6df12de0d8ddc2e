// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"net"
	"strconv"

	"github.com/kuda-io/kuda/hack/cluster/internal/freeport"
)

// FreeAddress returns host:port of a port of the address that is free now.
func (o Options) FreeAddress() (string, error) {
	port, err := freeport.Pick(o.Address)
	if err != nil {
		return "", fmt.Errorf("%w; give an --address of this machine", err)
	}
	return net.JoinHostPort(o.Address, strconv.Itoa(port)), nil
}
