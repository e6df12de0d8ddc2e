// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kuda-io/kuda/internal/gateway/peer"
)

// Bounds of the two servers that every client of the pod's address may reach. When
// there are too many connections, the oldest of the address that has the most of
// them is closed, so that the kubelet's probes get through a flood.
const (
	observers        = 256
	observerPatience = time.Minute
	observeTimeout   = 30 * time.Second
	observeHeader    = 8 << 10
	// scrapes is how many requests for metrics are worked on together.
	scrapes = 4
	// gatherEvery is how old the metrics may be that are shown. A client that asks
	// more often gets the same again.
	gatherEvery = 2 * time.Second
)

// addObservation serves the probes and the metrics.
func addObservation(mgr ctrl.Manager, o Options, ready healthz.Checker) error {
	probes := http.NewServeMux()
	handlePath(probes, "/healthz", &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}})
	handlePath(probes, "/readyz", &healthz.Handler{Checks: map[string]healthz.Checker{"gateway": ready}})
	measured := http.NewServeMux()
	measured.Handle("/metrics", promhttp.HandlerFor(&gatherer{from: metrics.Registry, clock: clock.RealClock{}}, promhttp.HandlerOpts{
		ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: scrapes, Timeout: observeTimeout,
	}))
	for _, s := range []struct {
		name, address string
		handler       http.Handler
	}{{"probes", o.HealthAddress, probes}, {"metrics", o.MetricsAddress, measured}} {
		if s.address == "0" || s.address == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.address)
		if err != nil {
			return fmt.Errorf("listening for %s: %w", s.name, err)
		}
		if err := mgr.Add(newObserver(s.name, listener, s.handler)); err != nil {
			return fmt.Errorf("serving %s: %w", s.name, err)
		}
	}
	return nil
}

// handlePath hands a path and what is below it to a handler of checks.
func handlePath(mux *http.ServeMux, path string, handler http.Handler) {
	stripped := http.StripPrefix(path, handler)
	mux.Handle(path, stripped)
	mux.Handle(path+"/", stripped)
}

func newObserver(name string, listener net.Listener, handler http.Handler) *ctrlmanager.Server {
	shutdown := time.Second
	return &ctrlmanager.Server{
		Name:     name,
		Listener: peer.Limit(listener, peer.Limits{Strangers: observers, Patience: observerPatience}, func(string) {}),
		Server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: observeTimeout,
			ReadTimeout:       observeTimeout,
			WriteTimeout:      observeTimeout,
			IdleTimeout:       observerPatience,
			MaxHeaderBytes:    observeHeader,
		},
		ShutdownTimeout: &shutdown,
	}
}

// gatherer gathers at most once in gatherEvery.
type gatherer struct {
	from  prometheus.Gatherer
	clock clock.PassiveClock

	mu       sync.Mutex
	gathered time.Time
	families []*dto.MetricFamily
	err      error
}

// Gather returns the newest metrics there are. They are not changed afterwards.
func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.clock.Now(); g.gathered.IsZero() || now.Sub(g.gathered) >= gatherEvery {
		g.families, g.err = g.from.Gather()
		g.gathered = g.clock.Now()
	}
	return g.families, g.err
}
