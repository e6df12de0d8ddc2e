// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/dashboard/live"
)

// metrics of a server.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
	streams  prometheus.Gauge
}

func newMetrics(hub *live.Hub) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kuda_dashboard_requests_total",
			Help: "Requests to the API that were let in, by class of their status."}, []string{"class"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kuda_dashboard_refused_total",
			Help: "Requests that were refused before the API server was asked, by reason."}, []string{"reason"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kuda_dashboard_streams", Help: "Open streams."}),
	}
	m.registry.MustRegister(m.requests, m.refused, m.streams, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kuda_dashboard_followed_datasets", Help: "DataSets that are followed, once for each user."},
		func() float64 { return float64(hub.Len()) }))
	return m
}
