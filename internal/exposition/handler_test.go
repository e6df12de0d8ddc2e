// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func get(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w
}

func TestManyRequestsCostOneGathering(t *testing.T) {
	registry := prometheus.NewRegistry()
	gathered := 0
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kuda_gatherings", Help: "How often."}, func() float64 {
		gathered++
		return float64(gathered)
	}))
	now := time.Unix(0, 0)
	p := &page{gatherer: registry, now: func() time.Time { return now }}
	for range 1000 {
		if w := get(p); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "kuda_gatherings 1\n") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	now = now.Add(keep)
	if w := get(p); !strings.Contains(w.Body.String(), "kuda_gatherings 2\n") {
		t.Errorf("a second later: %s", w.Body)
	}
}

func TestAFailureIsNotKept(t *testing.T) {
	fails := true
	p := &page{now: time.Now, gatherer: prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		if fails {
			return nil, errors.New("broken collector")
		}
		return nil, nil
	})}
	if w := get(p); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "broken collector") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	fails = false
	if w := get(p); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
