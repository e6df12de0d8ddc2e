// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/delivery/transfer"
)

// Metrics of an agent.
type Metrics struct {
	connected prometheus.Gauge
	bytes     prometheus.Counter
	cached    *prometheus.CounterVec
	fallbacks *prometheus.CounterVec
	failures  *prometheus.CounterVec
	switches  prometheus.Histogram
}

// NewMetrics returns metrics that are not registered yet.
func NewMetrics() *Metrics {
	return &Metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kuda_runtime_gateway_connected", Help: "1 while the watch on the gateway is open."}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kuda_runtime_received_bytes_total", Help: "Bytes that came from sources."}),
		cached: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuda_runtime_cache_bytes_total",
			Help: "Bytes of items whose source has a cache: served by it, read from the source, or rejected because they were wrong."},
			[]string{"outcome"}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuda_runtime_cache_fallback_bytes_total", Help: "Bytes that a cache was to serve and did not, by reason."}, []string{"reason"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuda_runtime_item_failures_total", Help: "Failed tries to deliver an item, by reason."}, []string{"reason"}),
		switches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kuda_runtime_switch_seconds", Help: "Time to build a revision's tree and switch the view to it.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 60}}),
	}
}

// Register adds the metrics, and gauges of the state, to a registry.
func (m *Metrics) Register(r prometheus.Registerer, state func() State) error {
	for _, c := range []prometheus.Collector{m.connected, m.bytes, m.cached, m.fallbacks, m.failures, m.switches, &stateCollector{state}} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// SetConnected keeps whether the watch on the gateway is open.
func (m *Metrics) SetConnected(yes bool) {
	m.connected.Set(0)
	if yes {
		m.connected.Set(1)
	}
}

// CountReceived counts bytes that came from a source.
func (m *Metrics) CountReceived(n int64) { m.bytes.Add(float64(max(n, 0))) }

// CountCache counts what a cache did for a delivery; nil for none.
func (m *Metrics) CountCache(u *transfer.CacheUse) {
	if u == nil {
		return
	}
	for outcome, n := range map[string]int64{"served": u.Served, "source": u.Source, "rejected": u.Rejected} {
		m.cached.WithLabelValues(outcome).Add(float64(max(n, 0)))
	}
	for reason, n := range u.Fallbacks {
		m.fallbacks.WithLabelValues(reason).Add(float64(max(n, 0)))
	}
}

// CountFailure counts a failed try to deliver an item.
func (m *Metrics) CountFailure(reason string) { m.failures.WithLabelValues(reason).Inc() }

// ObserveSwitch takes how long it took to build a revision's tree and switch to it.
func (m *Metrics) ObserveSwitch(d time.Duration) { m.switches.Observe(d.Seconds()) }

var (
	itemsDesc = prometheus.NewDesc("kuda_runtime_items", "Items of a DataSet in a phase.", []string{"dataset", "phase"}, nil)
	bytesDesc = prometheus.NewDesc("kuda_runtime_item_bytes", "Bytes of a DataSet's items that are on disk.", []string{"dataset"}, nil)
)

// stateCollector shows the state as it is when it is asked for.
type stateCollector struct{ state func() State }

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	out <- itemsDesc
	out <- bytesDesc
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	for _, d := range c.state().DataSets {
		count := map[string]int{PhaseWaiting: 0, PhaseDownloading: 0, PhaseSuccess: 0, PhaseFailed: 0}
		var bytes int64
		for _, i := range d.Items {
			count[i.Phase]++
			bytes += i.Bytes
		}
		for phase, n := range count {
			out <- prometheus.MustNewConstMetric(itemsDesc, prometheus.GaugeValue, float64(n), d.Name, phase)
		}
		out <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(bytes), d.Name)
	}
}
