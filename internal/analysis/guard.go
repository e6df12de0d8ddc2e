// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/util/validation"
)

// guard keeps the manager from being sent where it must not go. Names are checked
// before they are looked up, addresses when they are connected to: what a name
// meant a moment ago proves nothing.
type guard struct {
	// allowed hosts: names, addresses, or *.suffix; none allows all.
	allowed []string
	// loopback drops the checks of addresses, for tests.
	loopback bool
	// own are this machine's addresses.
	own func() ([]net.Addr, error)
}

func newGuard(allowed []string, loopback bool) (guard, error) {
	g := guard{loopback: loopback, own: net.InterfaceAddrs}
	for _, pattern := range allowed {
		clean, err := cleanPattern(pattern)
		if err != nil {
			return guard{}, err
		}
		g.allowed = append(g.allowed, clean)
	}
	return g, nil
}

func cleanPattern(pattern string) (string, error) {
	clean := strings.ToLower(strings.TrimSuffix(pattern, "."))
	if ip, err := netip.ParseAddr(clean); err == nil {
		return ip.String(), nil
	}
	if pattern == "*" || len(validation.IsDNS1123Subdomain(strings.TrimPrefix(clean, "*."))) == 0 {
		return clean, nil
	}
	return "", fmt.Errorf("allowed host %q: must be a host's name, an address, or a pattern such as *.monitoring.svc, without a scheme "+
		"or a port", pattern)
}

// checkHost reports whether a host may be called at all.
func (g guard) checkHost(host string) error {
	if len(g.allowed) == 0 {
		return nil
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	for _, pattern := range g.allowed {
		suffix, wild := strings.CutPrefix(pattern, "*")
		if host == pattern || wild && len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
			return nil
		}
	}
	return fmt.Errorf("this installation does not let the manager call %s; have the host added to the manager's "+
		"--analysis-allowed-hosts, or use one of: %s",
		host, strings.Join(g.allowed, ", "))
}

// checkDial is a net.Dialer's: the address is the one that is about to be connected to.
func (g guard) checkDial(_, address string, _ syscall.RawConn) error {
	if g.loopback {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address %s: %w", address, err)
	}
	if err := checkIP(to.Addr()); err != nil {
		return err
	}
	return g.refuseOwn(to.Addr().Unmap().WithZone(""))
}

// refuseOwn refuses the manager's own addresses: what it offers to itself alone, a
// network policy cannot see.
func (g guard) refuseOwn(ip netip.Addr) error {
	addresses, err := g.own()
	if err != nil {
		return fmt.Errorf("asking for the manager's own addresses: %w", err)
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap().WithZone("") == ip {
			return refusedError(ip, "the manager itself")
		}
	}
	return nil
}

// metadata are the metadata services of clouds that are not at link-local addresses.
var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("fd00:ec2::254"):   true, // AWS
	netip.MustParseAddr("fd20:ce::254"):    true, // Google Cloud
	netip.MustParseAddr("100.100.100.200"): true, // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"):   true, // Azure
	netip.MustParseAddr("192.0.0.192"):     true, // Oracle Cloud
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	broadcast   = netip.MustParseAddr("255.255.255.255")
	// An IPv4 address is carried in the last four bytes of these (RFC 6052, RFC
	// 4291 2.5.5.1), and in bytes 2 to 5 of that (RFC 3056).
	translated = netip.MustParsePrefix("64:ff9b::/96")
	compatible = netip.MustParsePrefix("::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// checkIP returns an error for an address that the manager never connects to.
func checkIP(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	switch {
	case ip.IsUnspecified() || thisNetwork.Contains(ip), ip.IsLoopback():
		return refusedError(ip, "the manager itself")
	case ip.IsLinkLocalUnicast(), metadata[ip]:
		return refusedError(ip, "a metadata service or a node's own network")
	case ip.IsMulticast(), ip == broadcast:
		return refusedError(ip, "many machines at once")
	}
	if inner, ok := embeddedIPv4(ip); ok {
		return checkIP(inner)
	}
	return nil
}

// embeddedIPv4 is the IPv4 address inside of an IPv6 address.
func embeddedIPv4(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	switch {
	case !ip.Is6():
		return netip.Addr{}, false
	case translated.Contains(ip), compatible.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// errRefused marks what the guard does not allow.
var errRefused = errors.New("the manager does not connect there")

func refusedError(ip netip.Addr, what string) error {
	return fmt.Errorf("%s leads to %s: %w; name a Service of the cluster or another host", ip, what, errRefused)
}
