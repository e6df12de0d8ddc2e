// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keepercmd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/freeport"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--base=":            "--base",
		"--verify-rate=10%":  "--verify-rate",
		"--verify-rate=1":    "--verify-rate",
		"--verify-every=1ms": "--verify-every",
		"--memory=1":         "--memory",
		"--high=50 --low=60": "watermarks",
		"--gateway=nowhere":  "gateway",
		"--node-quota=some":  "no amount",
		"--reserve=x":        "no amount",
		"something":          "unknown command",
	} {
		cmd := New()
		cmd.SetArgs(strings.Fields(args))
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", args, err, want)
		}
	}
}

func TestProbesSayWhetherTheKeeperGetsOn(t *testing.T) {
	var stuck error
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "kuda_keeper_stores", Help: "x"}))
	s := httptest.NewServer(newHandler(func() error { return stuck }, registry))
	defer s.Close()
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(text)
	}
	if code, text := get("/healthz"); code != http.StatusOK {
		t.Errorf("healthy: %d %s", code, text)
	}
	if code, text := get("/metrics"); code != http.StatusOK || !strings.Contains(text, "kuda_keeper_stores") {
		t.Errorf("metrics: %d %s", code, text)
	}
	stuck = errors.New("stuck")
	if code, text := get("/healthz"); code != http.StatusInternalServerError || !strings.Contains(text, "stuck") {
		t.Errorf("stuck: %d %s", code, text)
	}
	if code, _ := get("/other"); code != http.StatusNotFound {
		t.Errorf("another path: %d", code)
	}
}

// freeAddress is one that no server listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestTheKeeperRunsUntilItIsToldToEnd(t *testing.T) {
	g := agenttest.NewGateway(t)
	dir := t.TempDir()
	for path, text := range map[string]string{"ca.crt": string(g.CA), "token": agenttest.Token} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	cmd := New()
	cmd.SetArgs([]string{"--base", dir, "--gateway", g.Address, "--gateway-ca", filepath.Join(dir, "ca.crt"),
		"--token", filepath.Join(dir, "token"),
		"--listen", address})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	await := func(what, text string) {
		t.Helper()
		deadline, again := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
		defer again.Stop()
		for {
			if r, err := http.Get("http://" + address + "/metrics"); err == nil {
				got, _ := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if strings.Contains(string(got), text) {
					return
				}
			}
			select {
			case <-again.C:
			case err := <-ended:
				t.Fatalf("it ended with %v", err)
			case <-deadline:
				t.Fatalf("never seen: %s", what)
			}
		}
	}
	await("that it waits for the directory", "kuda_keeper_gateway_connected 0")
	if err := os.Mkdir(filepath.Join(dir, sidecar.NodeStoresDir), 0o700); err != nil {
		t.Fatal(err)
	}
	await("the gateway", "kuda_keeper_gateway_connected 1")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
