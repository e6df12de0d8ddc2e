// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission/intake"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/inject"
)

// mux is a Server that tests call without a connection.
type mux struct{ *http.ServeMux }

func (m mux) Register(path string, h http.Handler) { m.Handle(path, h) }

// BenchmarkReview has the webhook answer a pod of every day, and what costs the most of
// what its bounds let through.
func BenchmarkReview(b *testing.B) {
	registry := prometheus.NewRegistry()
	counts, _ := NewMetrics(registry)
	gate, _ := intake.NewGate(registry)
	cfg, err := config.Parse(nil, "kuda-runtime:v0.1.0")
	if err != nil {
		b.Fatal(err)
	}
	m := &memory{dataSets: v1alpha1.DataSetList{Items: []v1alpha1.DataSet{*dataSet()}}}
	settings := func() inject.Settings { return cfg.Settings(nil) }
	s := mux{http.NewServeMux()}
	Register(s, gate, Pods{Cache: m, Live: m, Metrics: counts, Log: logr.Discard(), Settings: settings},
		&DataSets{Settings: settings, Log: logr.Discard()})
	for name, body := range map[string]string{
		"good":                              reviewOf(selected + `{"name":"app","image":"search:1"}]}}`),
		"20,000 containers":                 reviewOf(selected + strings.Repeat("{},", 20_000) + `{}]}}`),
		"as many containers as are counted": reviewOf(selected + strings.Repeat("{},", 8_000) + `{}]}}`),
		"unselected":                        reviewOf(strings.Replace(selected, "search", "x", 1) + strings.Repeat("{},", 8_000) + `{}]}}`),
		"env":                               reviewOf(selected + `{"env":[` + strings.Repeat("{},", 8_000) + `{}]}]}}`),
		"with a large text": reviewOf(selected + `{}],"volumes":[` + strings.Repeat("{},", 8_000) + `{"name":"` +
			strings.Repeat("x", 900<<10) + `"}]}}`),
		"many small ones": reviewOf(selected + strings.Repeat("{},", 1_000) + `{}]}}`),
		"many labels":     reviewOf(`{"metadata":{"labels":{` + strings.Repeat(`"k":"v",`, 25_000) + `"app":"search"}}}`),
		"unselected, like a copy": reviewOf(strings.Replace(selected, "search", "x", 1) + strings.Repeat("{},", 8_000) +
			`{}],"volumes":[{"name":"kuda-token"}]}}`),
		"volumes":     reviewOf(selected + `{"name":"app"}],"volumes":[` + strings.Repeat("{},", 8_000) + `{}]}}`),
		"tolerations": reviewOf(selected + `{"name":"app"}],"tolerations":[` + strings.Repeat("{},", 8_000) + `{}]}}`),
		"spread":      reviewOf(selected + `{"name":"app"}],"topologySpreadConstraints":[` + strings.Repeat("{},", 8_000) + `{}]}}`),
		"affinity": reviewOf(selected +
			`{"name":"app"}],"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` +
			strings.Repeat("{},", 8_000) + `{}]}}}}}`),
		"mounts": reviewOf(selected + strings.Repeat(`{"volumeMounts":[`+strings.Repeat("{},", 30)+`{}]},`, 250) + `{"name":"app"}]}}`),
		"deep":   reviewOf(strings.Repeat(`{"a":`, 60_000) + "1" + strings.Repeat("}", 60_000)),
		"text":   reviewOf(`"` + strings.Repeat("x", 900_000) + `"`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var code int
			for b.Loop() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("POST", PathPods, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				s.ServeHTTP(w, r)
				code = w.Code
			}
			b.ReportMetric(float64(code), "code")
		})
	}
}
