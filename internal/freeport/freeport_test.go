// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package freeport

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestAPortIsFreeAndOutsideOfTheRangeOfAny(t *testing.T) {
	port, err := Pick("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if port < first || port >= first+count {
		t.Errorf("Pick returned %d, want a port from %d to %d", port, first, first+count-1)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal("the port is taken:", err)
	}
	l.Close()
}

func TestAnAddressOfAnotherMachineIsAnError(t *testing.T) {
	if _, err := Pick("192.0.2.1"); err == nil || !strings.Contains(err.Error(), "looking for a free port") {
		t.Errorf("Pick returned %v, want an error", err)
	}
}
