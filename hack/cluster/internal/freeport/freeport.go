// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports from first on are taken, below the NodePorts of Kubernetes, which begin at 30000,
// and below the ports that Linux gives to those who ask for any, which begin at 32768.
const (
	first = 20000
	count = 10000
	tries = 50
)

// Pick returns a port that nothing listens on at an IP address of this machine.
func Pick(address string) (int, error) {
	var failure error
	for range tries {
		port := first + rand.IntN(count)
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		failure = err
	}
	return 0, fmt.Errorf("looking for a free port: %w", failure)
}
