// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

type counted struct{ times int }

func (c *counted) Gather() ([]*dto.MetricFamily, error) {
	c.times++
	return nil, nil
}

var _ prometheus.Gatherer = (*counted)(nil)

func TestManyScrapesGatherOnce(t *testing.T) {
	from, now := &counted{}, clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	g := &gatherer{from: from, clock: now}
	for range 10 {
		if _, err := g.Gather(); err != nil {
			t.Fatal(err)
		}
	}
	now.SetTime(now.Now().Add(gatherEvery))
	_, _ = g.Gather()
	if from.times != 2 {
		t.Errorf("gathered %d times, want 2", from.times)
	}
}

func TestAProbeGetsThroughAFloodOfConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	handlePath(mux, "/healthz", &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}})
	server := newObserver("probes", listener, mux)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	port := listener.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for range 4 * observers {
		// Half a request, which would be waited for.
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = fmt.Fprint(c, "GET /healthz HTTP/1.1\r\n")
	}
	for _, path := range []string{"/healthz", "/healthz/", "/healthz/ping"} {
		// From another address, as the kubelet is.
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, Timeout: 10 * time.Second}
		response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", path, response.StatusCode, text)
		}
	}
}
