// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// startServers listens at the same port of several addresses of loopback, and returns the port
// and what counts the connections of each.
func startServers(t *testing.T, hosts ...string) (port string, taken []*atomic.Int64) {
	t.Helper()
	port = "0"
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		_, port, _ = net.SplitHostPort(l.Addr().String())
		var count atomic.Int64
		taken = append(taken, &count)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				count.Add(1)
				c.Close()
			}
		}()
	}
	return port, taken
}

// newTestSpreader finds addresses of "localhost" that a test gives.
func newTestSpreader(addresses ...string) (*spreader, *atomic.Int64) {
	var asked atomic.Int64
	s := newSpreader(&net.Dialer{Timeout: time.Second})
	s.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		asked.Add(1)
		var all []netip.Addr
		for _, a := range addresses {
			all = append(all, netip.MustParseAddr(a))
		}
		return all, nil
	}
	return s, &asked
}

func dialOnce(t *testing.T, s *spreader, address string) {
	t.Helper()
	c, err := s.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	// The server closes it, which is when it has counted it.
	_, _ = c.Read(make([]byte, 1))
	c.Close()
}

func TestConnectionsSpreadOverTheAddressesOfAName(t *testing.T) {
	port, taken := startServers(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	s, asked := newTestSpreader("127.0.0.1", "127.0.0.2", "127.0.0.3")
	const rounds = 4
	for range 3*rounds + 1 { // the first finds the family
		dialOnce(t, s, "localhost:"+port)
	}
	for i, count := range taken {
		if n := count.Load(); n < rounds || n > rounds+1 {
			t.Errorf("server %d got %d connections of %d", i+1, n, 3*rounds+1)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the name was asked for %d times", asked.Load())
	}
}

func TestAnAddressThatDoesNotAnswerIsGoneRound(t *testing.T) {
	port, taken := startServers(t, "127.0.0.1")
	s, _ := newTestSpreader("127.0.0.1", "127.0.0.9")
	for range 6 {
		dialOnce(t, s, "localhost:"+port)
	}
	if taken[0].Load() != 6 {
		t.Errorf("%d connections came", taken[0].Load())
	}
}

func TestANameThatCannotBeResolvedIsTheErrorOfTheDialer(t *testing.T) {
	s := newSpreader(&net.Dialer{Timeout: time.Second})
	s.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no answer") }
	s.addressesOf("no-such-host.invalid").family = "ip4"
	_, err := s.DialContext(t.Context(), "tcp", "no-such-host.invalid:80")
	if err == nil || !strings.Contains(err.Error(), "no-such-host.invalid") {
		t.Errorf("got %v", err)
	}
}

func TestAnAddressIsDialledAsItIs(t *testing.T) {
	port, taken := startServers(t, "127.0.0.1")
	s, asked := newTestSpreader("127.0.0.2", "127.0.0.3")
	for range 3 {
		dialOnce(t, s, "127.0.0.1:"+port)
	}
	if taken[0].Load() != 3 || asked.Load() != 0 {
		t.Errorf("%d connections, %d questions", taken[0].Load(), asked.Load())
	}
}
