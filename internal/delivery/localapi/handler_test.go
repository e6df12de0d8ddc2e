// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package localapi_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/localapi"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// delivery is what the test says it is.
type delivery struct {
	mu      sync.Mutex
	missing []string
	state   status.State
	changed chan struct{}
}

func (d *delivery) Ready() (bool, []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.missing) == 0, d.missing
}

func (d *delivery) State() status.State {
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
	d.missing = nil
	d.state = status.State{DataSets: []status.DataSet{{Name: "ds", Revision: revision}}}
	close(d.changed)
	d.changed = make(chan struct{})
}

// served is a local API of which the test is a container of the pod and, by
// another address of the machine, a stranger.
type served struct{ pod, stranger string }

func newServer(t *testing.T, d *delivery) served {
	t.Helper()
	d.changed = make(chan struct{})
	listener, err := localapi.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	s := localapi.NewServer(listener, d, prometheus.NewRegistry())
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the local API ended with: %v", err)
		}
	})
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return served{pod: "http://127.0.0.1:" + port, stranger: "http://" + net.JoinHostPort(ownAddress(t), port)}
}

// ownAddress is one that is not loopback.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Fatal("this test needs an address of the machine that is not loopback")
	return ""
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestGateStaysClosedAndNamesWhatIsMissing(t *testing.T) {
	d := &delivery{missing: []string{"model", "config"}}
	s := newServer(t, d)
	for _, url := range []string{s.pod, s.stranger} {
		if code, body := get(t, url+sidecar.PathReadyz); code != http.StatusServiceUnavailable || !strings.Contains(body, "model, config") {
			t.Errorf("%d %s", code, body)
		}
	}
	d.set("r1")
	for _, url := range []string{s.pod, s.stranger} {
		if code, body := get(t, url+sidecar.PathReadyz); code != http.StatusOK {
			t.Errorf("%d %s", code, body)
		}
	}
}

func TestStrangersGetProbesAndMetricsOnly(t *testing.T) {
	s := newServer(t, &delivery{})
	for path, want := range map[string]int{
		sidecar.PathHealthz: http.StatusOK, sidecar.PathReadyz: http.StatusOK, sidecar.PathMetrics: http.StatusOK,
		sidecar.PathData: http.StatusForbidden, sidecar.PathData + "?watch=true": http.StatusForbidden,
		"/" + sidecar.PathData: http.StatusForbidden, "/": http.StatusNotFound,
	} {
		code, body := get(t, s.stranger+path)
		if code != want || want == http.StatusForbidden && !strings.Contains(body, "localhost") {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
	if code, body := get(t, s.pod+sidecar.PathData); code != http.StatusOK || !strings.Contains(body, "dataSets") {
		t.Errorf("for the pod itself: %d %s", code, body)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	s := newServer(t, &delivery{})
	var open []io.Closer
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range 70 {
		resp, err := http.Get(s.pod + sidecar.PathData + "?watch=true")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp.Body)
		want := http.StatusOK
		if i >= 64 {
			want = http.StatusTooManyRequests
		}
		if resp.StatusCode != want {
			t.Fatalf("watch %d: %s", i, resp.Status)
		}
	}
	if code, _ := get(t, s.pod+sidecar.PathData); code != http.StatusOK {
		t.Errorf("with all watches taken a single question gets %d", code)
	}
}

func TestABodyIsRefusedUnread(t *testing.T) {
	s := newServer(t, &delivery{})
	for _, url := range []string{s.pod, s.stranger} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+sidecar.PathReadyz, endless{})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			continue // closed while the body was being sent
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s answers %s", url, resp.Status)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A flood of idle connections from the address that the probe comes from, too.
func TestProbeSucceedsWhileOtherClientsHoldAllConnections(t *testing.T) {
	d := &delivery{}
	s := newServer(t, d)
	address := strings.TrimPrefix(s.stranger, "http://")
	for i := range 2000 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%100 != 99 {
			continue
		}
		if code, body := get(t, s.stranger+sidecar.PathReadyz); code != http.StatusOK {
			t.Fatalf("after %d connections: %d %s", i, code, body)
		}
		if code, body := get(t, s.pod+sidecar.PathData); code != http.StatusOK {
			t.Fatalf("after %d connections the pod itself gets: %d %s", i, code, body)
		}
	}
}

func TestWatchTellsEachChange(t *testing.T) {
	d := &delivery{}
	s := newServer(t, d)
	resp, err := http.Get(s.pod + sidecar.PathData + "?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	var got status.State
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
		resp, err := http.Post(s.pod+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("POST %s answers %s", path, resp.Status)
		}
	}
}
