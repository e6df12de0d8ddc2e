// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// Kind is where an address leads.
type Kind int

// The kinds.
const (
	// Elsewhere is any other machine.
	Elsewhere Kind = iota
	// Pod is the pod's own localhost.
	Pod
	// Node is what a node has for its pods, such as a cloud's metadata service.
	Node
)

// Named returns where a setting leads by its name: a URL, or a host with or without a
// port. A name leads elsewhere, whatever it resolves to.
func Named(setting string) Kind {
	if !strings.Contains(setting, "://") {
		setting = "//" + setting
	}
	u, err := url.Parse(setting)
	if err != nil {
		return Elsewhere
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if strings.EqualFold(host, "localhost") {
		return Pod
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return Elsewhere
	}
	return kindOf(ip)
}

func kindOf(ip netip.Addr) Kind {
	switch ip = ip.Unmap(); {
	case ip.IsLoopback(), ip.IsUnspecified():
		return Pod
	case ip.IsLinkLocalUnicast():
		return Node
	}
	return Elsewhere
}

// Control returns a function for net.Dialer that refuses addresses of the pod itself and
// of its node, except of those kinds that a setting names.
func Control(settings ...string) func(network, address string, c syscall.RawConn) error {
	var named []Kind
	for _, s := range settings {
		named = append(named, Named(s))
	}
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("reading the address %s: %w", address, err)
		}
		if k := kindOf(to.Addr()); k == Elsewhere || slices.Contains(named, k) {
			return nil
		}
		return fmt.Errorf("%s is an address of the pod itself or of its node, and the source does not name one; name the storage system's "+
			"own address", to.Addr())
	}
}
