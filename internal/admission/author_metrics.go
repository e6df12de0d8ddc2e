// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of the question whether a DataSet's author has the rights it needs.
const (
	authorAllowed  = "allowed"
	authorRefused  = "refused"
	authorWarned   = "warned"
	authorUnneeded = "unneeded"
	authorFailed   = "failed"
)

// AuthorMetrics counts what became of changes of DataSets.
type AuthorMetrics struct{ checks *prometheus.CounterVec }

// NewAuthorMetrics makes the metrics and registers them.
func NewAuthorMetrics(registry prometheus.Registerer) (*AuthorMetrics, error) {
	m := &AuthorMetrics{checks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kuda_author_checks_total",
		Help: "Changes of DataSets by outcome: allowed (the author has the rights), refused, warned (authorChecks is Warn), unneeded (nothing " +
			"new is used, or authorChecks is Off), failed (it could not be found out).",
	}, []string{"outcome"})}
	for _, outcome := range []string{authorAllowed, authorRefused, authorWarned, authorUnneeded, authorFailed} {
		m.checks.WithLabelValues(outcome)
	}
	if err := registry.Register(m.checks); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return m, nil
}

func (m *AuthorMetrics) countOutcome(outcome string) { m.checks.WithLabelValues(outcome).Inc() }
