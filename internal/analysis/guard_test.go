// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestAddressesOfTheManagerAndOfMetadataAreRefused(t *testing.T) {
	g, err := newGuard(nil, false)
	if err != nil {
		t.Fatal(err)
	}
	g.own = func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(10, 244, 4, 7), Mask: net.CIDRMask(32, 32)},
			&net.IPNet{IP: net.ParseIP("fd00::7"), Mask: net.CIDRMask(64, 128)}}, nil
	}
	for _, address := range []string{
		"127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
		"169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "febf::1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2002:7f00:1::",
		"224.0.0.1", "239.1.2.3", "ff02::1", "255.255.255.255",
		"100.100.100.200", "168.63.129.16", "fd00:ec2::254",
		"10.244.4.7", "::ffff:10.244.4.7", "fd00::7",
	} {
		if err := g.checkDial("tcp", net.JoinHostPort(address, "80"), nil); !errors.Is(err, errRefused) {
			t.Errorf("%s: got %v", address, err)
		}
	}
	for _, address := range []string{"10.96.0.10", "10.244.4.8", "192.168.1.1", "8.8.8.8", "fd00::8", "2001:db8::1", "64:ff9b::808:808"} {
		if err := g.checkDial("tcp", net.JoinHostPort(address, "80"), nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAnAddressThatCannotBeCheckedIsNotConnectedTo(t *testing.T) {
	g := guard{own: func() ([]net.Addr, error) { return nil, errors.New("no") }}
	for _, address := range []string{"10.0.0.1:80", "10.0.0.1", "nowhere:80", ""} {
		if err := g.checkDial("tcp", address, nil); err == nil {
			t.Errorf("%q was allowed", address)
		}
	}
}

func TestOnlyAllowedHostsAreCalled(t *testing.T) {
	g, err := newGuard([]string{"*.monitoring.svc", "Checks.Shop.", "10.0.0.1", "2001:DB8::1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"prometheus.monitoring.svc": true, "a.b.monitoring.svc": true, "PROMETHEUS.monitoring.svc.": true,
		"monitoring.svc": false, ".monitoring.svc": false, "evilmonitoring.svc": false, "monitoring.svc.evil": false,
		"checks.shop": true, "x.checks.shop": false, "checks.shop.evil": false,
		"10.0.0.1": true, "10.0.0.2": false, "2001:db8::1": true, "2001:db8:0::1": true, "": false,
	} {
		if err := g.checkHost(host); (err == nil) != want {
			t.Errorf("%q: got %v", host, err)
		} else if err != nil && !strings.Contains(err.Error(), "--analysis-allowed-hosts") {
			t.Errorf("%q: %v does not say what to do", host, err)
		}
	}
}

func TestAnInvalidAllowedHostIsAnError(t *testing.T) {
	for _, pattern := range []string{"", "*.", "http://prometheus", "prometheus:9090", "a.*.b", "*prometheus", "10.0.0.0/8"} {
		if _, err := NewRunner(Options{AllowedHosts: []string{"ok", pattern}}); err == nil ||
			!strings.Contains(err.Error(), "must be a host's name") {
			t.Errorf("%q: got %v", pattern, err)
		}
	}
	if _, err := NewRunner(Options{AllowedHosts: []string{"*"}}); err != nil {
		t.Error(err)
	}
}

func FuzzRefusedAddressesStayRefusedInEveryForm(f *testing.F) {
	f.Add([]byte{169, 254, 1, 2})
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{10, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 4 {
			return
		}
		plain := netip.AddrFrom4([4]byte(b))
		want := checkIP(plain) != nil
		mapped := netip.AddrFrom16(plain.As16())
		translated := netip.AddrFrom16([16]byte{0, 0x64, 0xff, 0x9b, 12: b[0], 13: b[1], 14: b[2], 15: b[3]})
		sixToFour := netip.AddrFrom16([16]byte{0x20, 0x02, b[0], b[1], b[2], b[3]})
		for _, form := range []netip.Addr{mapped, translated, sixToFour} {
			if got := checkIP(form) != nil; got != want {
				t.Errorf("%s: refused %v; %s: refused %v", plain, want, form, got)
			}
		}
	})
}
