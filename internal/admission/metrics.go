// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Outcomes of an admission request for a pod.
const (
	injected  = "injected"
	skipped   = "skipped"
	failed    = "failed"
	unmatched = "unmatched"
	refused   = "refused"
)

// Outcomes for an injected pod of the question which nodes hold its data.
const (
	preferred = "preferred"
	none      = "none"
	unknown   = "unknown"
)

// Metrics counts what became of pods.
type Metrics struct {
	pods, placements *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		pods: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuda_admission_pods_total",
			Help: "Pods by outcome: injected, skipped (of a kind that is left alone), failed, unmatched (no DataSet selects them), " +
				"refused (they name DataSets that are not there or do not select them, or evade what their namespace requires).",
		}, []string{"outcome"}),
		placements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuda_admission_placements_total",
			Help: "Injected pods by outcome: preferred (they prefer nodes that hold their data), none (no node does, or it has no say), unknown " +
				"(it could not be found out).",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{injected, skipped, failed, unmatched, refused} {
		m.pods.WithLabelValues(outcome)
	}
	for _, outcome := range []string{preferred, none, unknown} {
		m.placements.WithLabelValues(outcome)
	}
	return m, errors.Join(registry.Register(m.pods), registry.Register(m.placements))
}

func (m *Metrics) countOutcome(outcome string) {
	m.pods.WithLabelValues(outcome).Inc()
}

func (m *Metrics) countPlacement(outcome string) {
	m.placements.WithLabelValues(outcome).Inc()
}

// placementOutcome goes by what the pod was given, not by what there was to give.
func placementOutcome(pod *corev1.Pod, err error) string {
	switch {
	case err != nil:
		return unknown
	case pod.Annotations[v1alpha1.AnnotationPlacement] != "":
		return preferred
	}
	return none
}
