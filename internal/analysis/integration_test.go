// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package analysis

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/storagetest"
)

// scrapeLimit is how long the server may take to see what the exporter says; it
// looks every second.
const scrapeLimit = time.Minute

// exporter is an application with a counter of answers and one of errors.
type exporter struct {
	answers, errors prometheus.Counter
	latency         prometheus.Histogram
	address         string
}

func newExporter(t *testing.T) *exporter {
	t.Helper()
	e := &exporter{
		answers: prometheus.NewCounter(prometheus.CounterOpts{Name: "shop_answers_total"}),
		errors:  prometheus.NewCounter(prometheus.CounterOpts{Name: "shop_errors_total"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "shop_latency_seconds", Buckets: []float64{0.1, 1, 10}}),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(e.answers, e.errors, e.latency)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	e.address = server.Listener.Addr().String()
	return e
}

// A rollout is judged by what a real server makes of what an application says.
func TestARealPrometheusServerIsAsked(t *testing.T) {
	app := newExporter(t)
	app.answers.Add(1000)
	app.errors.Add(2)
	app.latency.Observe(0.05)
	var server struct{ URL string }
	storagetest.Start(t, "prometheus", &server, "shop="+app.address)
	r, changed := newTestRunner(t, Options{})
	measure := func(t *testing.T, query, success, failure string) Measurement {
		t.Helper()
		step := promStep(server.URL, query, success, failure)
		if err := Check(step); err != nil && !strings.Contains(err.Error(), "127.0.0.1") {
			t.Fatal(err)
		}
		return taken(t, r, changed, step)
	}
	await := func(query string) {
		t.Helper()
		for deadline := time.Now().Add(scrapeLimit); ; {
			m := measure(t, query, "result[0] == 1.0", "")
			if m.OK {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the server does not see the exporter: %s", m.Message)
			}
		}
	}
	await("shop_answers_total == bool 1000")

	for name, c := range map[string]struct {
		query, success, failure string
		ok                      bool
		want                    string
	}{
		"few errors": {"shop_errors_total / shop_answers_total", "result[0] < 0.01", "", true, "result [0.002]"},
		"a scalar":   {"scalar(shop_errors_total)", "result[0] == 2.0", "", true, "result [2]"},
		"several series": {`{__name__=~"shop_(answers|errors)_total",job="shop"}`,
			"size(result) == 2 && result.exists(r, r == 1000.0)", "", true, "result ["},
		"no traffic at all": {"shop_errors_total * 0 / (shop_answers_total * 0)", "", "result[0] > 0.01", false, "gives NaN"},
		"what we advise for no traffic": {"shop_errors_total * 0 / (shop_answers_total * 0) >= 0 or on() vector(0)", "", "result[0] > 0.01",
			true, "result [0]"},
		"no such metric":          {"no_such_metric", "", "result[0] > 0.01", false, "no time series matches"},
		"what we advise for none": {"no_such_metric or on() vector(0)", "", "result[0] > 0.01", true, "result [0]"},
		"a quantile": {"histogram_quantile(0.99, sum by (le) (shop_latency_seconds_bucket))", "result[0] <= 0.1", "",
			true, "result [0.099]"},
		"a range":  {"shop_errors_total[1m]", "result[0] > 0.0", "", false, "gives a matrix"},
		"a string": {`"text"`, "result[0] > 0.0", "", false, "gives a string"},
		"a wrong query": {"sum(shop_errors_total", "result[0] > 0.0", "", false,
			"refused the query (status 400): invalid parameter \"query\": 1:22: parse error: unclosed left parenthesis"},
		"infinity":           {"shop_errors_total / (shop_answers_total * 0)", "result[0] < 1.0", "", false, "result [+Inf]"},
		"special characters": {`label_replace(shop_errors_total, "a", "b&c=d+é", "", "") == 2`, "result[0] == 2.0", "", true, "result [2]"},
	} {
		t.Run(name, func(t *testing.T) {
			if m := measure(t, c.query, c.success, c.failure); m.OK != c.ok || !strings.Contains(m.Message, c.want) {
				t.Errorf("got %+v; want %v, %q", m, c.ok, c.want)
			}
		})
	}

	app.errors.Add(98)
	await("shop_errors_total == bool 100")
	if m := measure(t, "shop_errors_total / shop_answers_total", "result[0] < 0.01", ""); m.OK ||
		!strings.Contains(m.Message, "result [0.1]") {
		t.Errorf("an error rate that rose: %+v", m)
	}
}

// The metrics page of an exporter, or of the manager, is no Prometheus server.
func TestAnExporterIsNotTakenForAServer(t *testing.T) {
	app := newExporter(t)
	r, changed := newTestRunner(t, Options{})
	m := taken(t, r, changed, promStep("http://"+app.address, "up", "result[0] > 0.0", ""))
	if m.OK || !strings.Contains(m.Message, "not that of a Prometheus server") {
		t.Errorf("got %+v", m)
	}
}

func promStep(address, query, success, failure string) v1alpha1.AnalysisStep {
	return v1alpha1.AnalysisStep{
		Prometheus:       &v1alpha1.PrometheusQuery{Address: address, Query: query},
		SuccessCondition: success, FailureCondition: failure,
	}
}
