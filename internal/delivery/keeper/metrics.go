// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/keeper/examine"
)

// Metrics are those of a keeper. None of them has a label that a tenant chooses.
type Metrics struct {
	stores, snapshots, bytes, unreadable, connected prometheus.Gauge
	looks                                           *prometheus.CounterVec
	lookSeconds                                     prometheus.Counter
	evictions, evictedBytes, pods, goneStores       prometheus.Counter
	reportFailures                                  prometheus.Counter
	verified                                        *prometheus.CounterVec
}

// NewMetrics returns metrics that are not registered yet.
func NewMetrics() *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "kuda_keeper_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "kuda_keeper_" + name, Help: help})
	}
	return &Metrics{
		stores:       gauge("stores", "Stores on the node."),
		snapshots:    gauge("snapshots", "Complete snapshots in all stores."),
		bytes:        gauge("stored_bytes", "Bytes of the complete snapshots; files that snapshots share count in each."),
		unreadable:   gauge("unreadable_stores", "Stores of which a part could not be read."),
		connected:    gauge("gateway_connected", "1 while the gateway is reached."),
		lookSeconds:  counter("look_seconds_total", "Time spent looking at the stores."),
		evictions:    counter("evictions_total", "Snapshots that were evicted."),
		evictedBytes: counter("evicted_bytes_total", "Bytes of the snapshots that were evicted."),
		pods:         counter("removed_pods_total", "Directories of dead pods that were removed."),
		goneStores:   counter("removed_stores_total", "Stores of namespaces that are gone that were removed."),

		reportFailures: counter("report_failures_total", "Reports that the gateway did not take."),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kuda_keeper_looks_total",
			Help: "Looks at all stores, by outcome: success or error."}, []string{"outcome"}),
		verified: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kuda_keeper_verified_snapshots_total",
			Help: "Snapshots that were compared with what was delivered, by outcome: right, damaged or error."}, []string{"outcome"}),
	}
}

// Register adds the metrics to a registry.
func (m *Metrics) Register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.stores, m.snapshots, m.bytes, m.unreadable, m.connected, m.looks, m.lookSeconds, m.evictions,
		m.evictedBytes, m.pods, m.goneStores, m.reportFailures, m.verified} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

func (m *Metrics) setStores(stores []*census.Store) {
	snapshots, bytes, unreadable := 0, int64(0), 0
	for _, s := range stores {
		snapshots += len(s.Snapshots)
		bytes += s.Used()
		if s.Unreadable != "" {
			unreadable++
		}
	}
	m.stores.Set(float64(len(stores)))
	m.snapshots.Set(float64(snapshots))
	m.bytes.Set(float64(bytes))
	m.unreadable.Set(float64(unreadable))
}

func (m *Metrics) setConnected(yes bool) {
	m.connected.Set(map[bool]float64{true: 1}[yes])
}

func (m *Metrics) observeLook(took time.Duration, err error) {
	m.lookSeconds.Add(took.Seconds())
	outcome := "success"
	if err != nil {
		outcome = "error"
	}
	m.looks.WithLabelValues(outcome).Inc()
}

func (m *Metrics) countEviction(bytes int64) {
	m.evictions.Inc()
	m.evictedBytes.Add(float64(max(bytes, 0)))
}

func (m *Metrics) countPod()           { m.pods.Inc() }
func (m *Metrics) countStore()         { m.goneStores.Inc() }
func (m *Metrics) countReportFailure() { m.reportFailures.Inc() }

func (m *Metrics) observeVerified(f *examine.Finding, err error) {
	outcome := "right"
	switch {
	case err != nil:
		outcome = "error"
	case f != nil:
		outcome = "damaged"
	}
	m.verified.WithLabelValues(outcome).Inc()
}
