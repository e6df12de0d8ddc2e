// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/gateway/hub"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

type metrics struct {
	reports *prometheus.CounterVec
	writes  *prometheus.CounterVec
	hooks   *prometheus.CounterVec
	reviews *prometheus.CounterVec
	// stores and storeWrites are about what nodes hold.
	stores      *prometheus.CounterVec
	storeWrites *prometheus.CounterVec
	// refusals and drops are about callers that ask for too much, or for what is
	// not theirs.
	refusals *prometheus.CounterVec
	drops    *prometheus.CounterVec
}

// newMetrics registers the metrics; connections returns how many are open, of pods
// and of strangers.
func newMetrics(registry prometheus.Registerer, streams *hub.Hub, connections func() (known, strangers int)) (*metrics, error) {
	counted := func(subsystem, name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "kuda", Subsystem: subsystem, Name: name, Help: help},
			[]string{"outcome"})
	}
	counter := func(name, help string) *prometheus.CounterVec { return counted("gateway", name, help) }
	m := &metrics{
		reports: counter("reports_total", "Reports of runtimes, by outcome (ok, or the error's code)."),
		writes:  counter("status_writes_total", "Ends of reports: written to the API server, unchanged, or failed."),
		hooks:   counter("hook_runs_total", "Exec hooks, by outcome: succeeded, failed (an exit status other than 0), or the error's code."),
		reviews: counter("token_reviews_total", "TokenReviews, by outcome: accepted, refused or failed."),
		stores:  counted("nodestore", "reports_total", "Reports of what a node holds, by outcome (ok, or the error's code)."),
		storeWrites: counted("nodestore", "writes_total",
			"Ends of reports of what a node holds: written to the API server, unchanged, or failed."),
	}
	reasons := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "kuda", Subsystem: "gateway", Name: name, Help: help},
			[]string{"reason"})
	}
	m.refusals = reasons("refusals_total", "Requests that were refused before they were read, by reason.")
	m.drops = reasons("dropped_connections_total", "Connections that the gateway closed: silent (no call was accepted in time), crowded "+
		"(too many strangers), eager (too many requests at once), or pod (the pod is gone, or has newer ones).")
	counts := func(of string, n func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "kuda", Subsystem: "gateway", Name: "connections", Help: "Open connections, of pods and of strangers.",
			ConstLabels: prometheus.Labels{"of": of},
		}, func() float64 { return float64(n()) })
	}
	ofPods := counts("pods", func() int { known, _ := connections(); return known })
	ofStrangers := counts("strangers", func() int { _, strangers := connections(); return strangers })
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "kuda", Subsystem: "gateway", Name: "streams", Help: "Open streams of runtimes.",
	}, func() float64 { return float64(streams.Open()) })
	for _, c := range []prometheus.Collector{m.reports, m.writes, m.hooks, m.reviews, m.stores, m.storeWrites, m.refusals, m.drops, ofPods,
		ofStrangers, open} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the gateway's metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) countReview(o identity.Outcome) { m.reviews.WithLabelValues(string(o)).Inc() }

func (m *metrics) countDrop(reason string) { m.drops.WithLabelValues(reason).Inc() }

func (m *metrics) countWrite(wrote bool, err error) {
	m.writes.WithLabelValues(writeOutcome(wrote, err)).Inc()
}
func (m *metrics) wroteStore(wrote bool, err error) {
	m.storeWrites.WithLabelValues(writeOutcome(wrote, err)).Inc()
}

func writeOutcome(wrote bool, err error) string {
	switch {
	case err != nil:
		return "failed"
	case wrote:
		return "written"
	default:
		return "unchanged"
	}
}

func callOutcome(err error) string {
	if err == nil {
		return "ok"
	}
	return connect.CodeOf(err).String()
}

func hookOutcome(r *gatewayv1alpha1.RunHookResponse, err error) string {
	switch {
	case err != nil:
		return connect.CodeOf(err).String()
	case r.GetExitCode() != 0:
		return "failed"
	default:
		return "succeeded"
	}
}
