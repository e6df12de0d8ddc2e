// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// addressLife is how long the addresses of a name are dialled without asking for
	// them again: many connections are opened at once, and services change what their
	// names stand for within a minute.
	addressLife = 3 * time.Second
	// addressTimeout is how long one address of several has.
	addressTimeout = 3 * time.Second
)

// spreader dials the addresses of a name in turn, so that connections to a service with
// several servers do not all end at one of them.
type spreader struct {
	dialer *net.Dialer
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu    sync.Mutex
	names map[string]*addresses
}

// addresses of one name.
type addresses struct {
	mu    sync.Mutex
	asked time.Time
	all   []netip.Addr
	// family is the one in which a connection came about, "" before that: a name may
	// have addresses of a family that leads nowhere from here.
	family string
	next   int
}

func newSpreader(d *net.Dialer) *spreader {
	return &spreader{dialer: d, lookup: net.DefaultResolver.LookupNetIP, names: map[string]*addresses{}}
}

// DialContext connects to the next address of a name. The first connection, and any
// where that address does not answer, is made as a net.Dialer does.
func (s *spreader) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return s.dialer.DialContext(ctx, network, address)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return s.dialer.DialContext(ctx, network, address)
	}
	of := s.addressesOf(host)
	if next, ok := of.nextAddress(ctx, host, s.lookup); ok {
		one := *s.dialer
		one.Timeout = min(addressTimeout, s.dialer.Timeout)
		if conn, err := one.DialContext(ctx, network, net.JoinHostPort(next.String(), port)); err == nil {
			return conn, nil
		}
	}
	conn, err := s.dialer.DialContext(ctx, network, address)
	if err == nil {
		of.learnFamily(conn.RemoteAddr())
	}
	return conn, err
}

func (s *spreader) addressesOf(host string) *addresses {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[host] == nil {
		s.names[host] = &addresses{}
	}
	return s.names[host]
}

// nextAddress returns the address whose turn it is, false where there are not several to
// choose from.
func (a *addresses) nextAddress(ctx context.Context, host string,
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) (netip.Addr, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.family == "" {
		return netip.Addr{}, false
	}
	if time.Since(a.asked) > addressLife {
		all, err := lookup(ctx, a.family, host)
		if err != nil {
			return netip.Addr{}, false
		}
		a.all, a.asked = all, time.Now()
	}
	if len(a.all) < 2 {
		return netip.Addr{}, false
	}
	a.next++
	return a.all[a.next%len(a.all)].Unmap(), true
}

// learnFamily takes the family of an address that answered.
func (a *addresses) learnFamily(remote net.Addr) {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.family = "ip6"; at.Addr().Unmap().Is4() {
		a.family = "ip4"
	}
}
