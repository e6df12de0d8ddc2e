// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// swap makes a mounted Secret have a token, as the kubelet does: in a new directory, by the
// rename of a link. The keys' own links come after that.
func swap(t *testing.T, dir string, version int, token string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	name := "..v" + strconv.Itoa(version)
	must(os.MkdirAll(filepath.Join(dir, name), 0o755))
	if token != "" {
		must(os.WriteFile(filepath.Join(dir, name, "token"), []byte(token), 0o600))
	}
	must(os.Symlink(name, filepath.Join(dir, "..data_tmp")))
	must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if _, err := os.Lstat(filepath.Join(dir, "token")); token != "" && err != nil {
		must(os.Symlink("..data/token", filepath.Join(dir, "token")))
	}
}

// guarded is a server that shows files to those with the token.
func guarded(t *testing.T, f *agenttest.Files, token string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// AccessDenied is tried again after 15 to 30 seconds at first; a corrected Secret does not
// wait for that.
func TestACorrectedSecretIsUsedWithinASecond(t *testing.T) {
	for name, c := range map[string]struct{ before, reason string }{
		"the wrong token": {"bad", "AccessDenied"},
		"no Secret":       {"", "CredentialsMissing"},
	} {
		t.Run(name, func(t *testing.T) {
			g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
			f.Put("/v1", "one")
			a := f.Assignment("ds", "r1", "a", "/v1")
			a.Sources[0].GetHttp().Url = guarded(t, f, "good").URL
			a.Sources[0].GetHttp().Secret = "keys"
			g.Want(a)
			s := newSidecar(t, g)
			s.args = []string{"--secrets-dir", s.path("secrets")}
			dir := s.path("secrets", "keys")
			swap(t, dir, 1, c.before)
			s.start()
			g.Failure("a", c.reason)
			g.Forget()
			begun := time.Now()
			swap(t, dir, 2, "good")
			g.Success("ds-pod", "r1")
			// A second is what it takes; ten are what a loaded machine may need.
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("delivered %s after the mount changed", took)
			} else {
				t.Logf("delivered %s after the mount changed", took)
			}
		})
	}
}

func TestARequestedRetryIsMadeWithinTwoSeconds(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	want := f.Assignment("ds", "r1", "a", "/v1")
	g.Want(want)
	s := newSidecar(t, g)
	s.start()
	g.Failure("a", "NotFound")
	f.Put("/v1", "one")
	begun := time.Now()
	asked := proto.CloneOf(want)
	asked.RetryToken = "retry r1 token"
	g.Want(asked)
	g.Success("ds-pod", "r1")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("delivered %s after the request", took)
	}
}

func TestTheLocalAPISaysThatTheGatewayIsAnothers(t *testing.T) {
	g := agenttest.NewGateway(t)
	other, err := pki.NewGeneration(pki.DefaultPolicy(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := newSidecar(t, g)
	s.args = []string{"--gateway-ca", string(other.CertificatePEM())}
	s.start()
	awaitText(t, func() string { return getText(s, sidecar.PathReadyz) }, "waits for the data of: ds", "signed by another authority",
		"restart this pod")
	var state struct {
		Connected bool
		Message   string
	}
	if err := json.Unmarshal([]byte(getText(s, sidecar.PathData)), &state); err != nil || state.Connected ||
		!strings.Contains(state.Message, "signed by another authority") {
		t.Errorf("%+v, %v", state, err)
	}
	// What it says goes when it is the right one after all.
	s.kill(os.Kill)
	s.args = nil
	g.WantMessage(&gatewayv1alpha1.WatchResponse{})
	s.start()
	awaitText(t, func() string { return getText(s, sidecar.PathData) }, `"connected":true`)
	if text := getText(s, sidecar.PathData); strings.Contains(text, "message") {
		t.Errorf("connected: %s", text)
	}
}

func getText(s *sidecarProcess, path string) string {
	_, body := s.get(path)
	return body
}
