// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import "github.com/prometheus/client_golang/prometheus"

// Outcomes of an admission request for a pod.
const (
	injected  = "injected"
	skipped   = "skipped"
	failed    = "failed"
	unmatched = "unmatched"
)

// Metrics counts what became of pods.
type Metrics struct {
	pods *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{pods: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kuda_admission_pods_total",
		Help: "Pods by outcome: injected, skipped (of a kind that is left alone), failed, unmatched (no DataSet selects them).",
	}, []string{"outcome"})}
	for _, outcome := range []string{injected, skipped, failed, unmatched} {
		m.pods.WithLabelValues(outcome)
	}
	return m, registry.Register(m.pods)
}

func (m *Metrics) count(outcome string) {
	m.pods.WithLabelValues(outcome).Inc()
}
