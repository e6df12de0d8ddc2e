// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package localapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/delivery/agent"
	"github.com/kuda-io/kuda/internal/delivery/localapi"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// delivery is what the test says it is.
type delivery struct {
	mu      sync.Mutex
	missing []string
	state   agent.State
	changed chan struct{}
}

func (d *delivery) Ready() (bool, []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.missing) == 0, d.missing
}

func (d *delivery) State() agent.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

func (d *delivery) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *delivery) set(revision string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = agent.State{DataSets: []agent.DataSet{{Name: "ds", Revision: revision}}}
	close(d.changed)
	d.changed = make(chan struct{})
}

func newServer(t *testing.T, d *delivery) *httptest.Server {
	t.Helper()
	d.changed = make(chan struct{})
	s := httptest.NewServer(localapi.NewHandler(d, prometheus.NewRegistry()))
	t.Cleanup(s.Close)
	return s
}

func TestGateStaysClosedAndNamesWhatIsMissing(t *testing.T) {
	d := &delivery{missing: []string{"model", "config"}}
	s := newServer(t, d)
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, sidecar.PathReadyz, nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "model, config") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	d.missing = nil
	w = httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, sidecar.PathReadyz, nil))
	if w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWatchTellsEachChange(t *testing.T) {
	d := &delivery{}
	s := newServer(t, d)
	resp, err := http.Get(s.URL + sidecar.PathData + "?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	var got agent.State
	if err := lines.Decode(&got); err != nil || len(got.DataSets) != 0 {
		t.Fatalf("the first line is %+v, %v", got, err)
	}
	for _, revision := range []string{"r1", "r2"} {
		d.set(revision)
		if err := lines.Decode(&got); err != nil || len(got.DataSets) != 1 || got.DataSets[0].Revision != revision {
			t.Fatalf("after %s: %+v, %v", revision, got, err)
		}
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	s := newServer(t, &delivery{})
	for _, path := range []string{sidecar.PathData, sidecar.PathReadyz, sidecar.PathMetrics, "/debug/pprof/", "/"} {
		resp, err := http.Post(s.URL+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("POST %s answers %s", path, resp.Status)
		}
	}
}
