// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/inspection"
)

// inspect runs the command in the runtime's container.
func (s *sidecarProcess) inspect(stdin string, out any, args ...string) {
	s.t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"inspect", "--store", s.path("store"), "--secrets-dir", s.path("secrets")}, args...)...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stderr = s.env, strings.NewReader(stdin), &stderr
	text, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		s.t.Fatalf("inspect %v: %v\n%s", args, err, stderr.String())
	}
}

// question is what is asked about an assignment.
func question(t *testing.T, a *gatewayv1alpha1.Assignment) string {
	t.Helper()
	text, err := protojson.Marshal(&gatewayv1alpha1.Prefetch{Revision: a.GetRevision(), Items: a.GetItems(), Sources: a.GetSources()})
	if err != nil {
		t.Fatal(err)
	}
	return `[{"dataset":"` + a.GetDataset() + `","prefetch":` + string(text) + "}]"
}

func TestInspectShowsDeliveredDataAndBytesToMove(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "one")
	f.Put("/a2", "number two")
	f.Put("/b", "the same")
	f.Put("/c", "new")
	g.Want(f.Assignment("ds", "r1", "dir/a", "/a1", "b", "/b", "gone", "/a1"))
	s := newSidecar(t, g)
	s.start()
	g.Success("ds-pod", "r1")

	var sets []inspection.DataSet
	s.inspect("", &sets, "data", "-o", "json")
	if len(sets) != 1 || sets[0].Revision != "r1" || len(sets[0].Items) != 3 {
		t.Fatalf("data: %+v", sets)
	}
	for _, i := range sets[0].Items {
		content, err := s.read(i.Files[0].Path)
		if err != nil || int64(len(content)) != i.Files[0].Size || !strings.HasPrefix(i.Files[0].Digest, "xxh3:") || i.Files[0].Mode != "0644" {
			t.Errorf("item: %+v, %v", i, err)
		}
	}

	next := f.Assignment("ds", "r2", "dir/a", "/a2", "b", "/b", "c", "/c", "denied", "/c", "missing", "/nowhere")
	next.Sources = append(next.Sources, &gatewayv1alpha1.Source{Name: "secret", Config: &gatewayv1alpha1.Source_Http{
		Http: &gatewayv1alpha1.HTTPSource{Url: f.Server.URL, Secret: "not-mounted"}}})
	next.Items[3].Source = "secret"
	gets := f.Gets("/a2") + f.Gets("/c")
	var plans []inspection.Plan
	s.inspect(question(t, next), &plans, "plan")
	if len(plans) != 1 || plans[0].CurrentRevision != "r1" || plans[0].Revision != "r2" || len(plans[0].Items) != 6 {
		t.Fatalf("plan: %+v", plans)
	}
	if n := f.Gets("/a2") + f.Gets("/c"); n != gets {
		t.Errorf("%d files were read", n-gets)
	}
	for n, want := range []inspection.PlannedItem{
		{Name: "dir/a", Changed: inspection.Files{Count: 1}, BytesToMove: 10},
		{Name: "b", Unchanged: inspection.Files{Count: 1}, BytesPresent: 8},
		{Name: "c", Added: inspection.Files{Count: 1}, BytesToMove: 3},
		{Name: "denied", Reason: "CredentialsMissing"},
		{Name: "missing", Reason: "NotFound"},
		{Name: "gone", Removed: inspection.Files{Count: 1}},
	} {
		got := plans[0].Items[n]
		if got.Name != want.Name || got.Added.Count != want.Added.Count || got.Changed.Count != want.Changed.Count ||
			got.Removed.Count != want.Removed.Count || got.Unchanged.Count != want.Unchanged.Count || got.Reason != want.Reason ||
			got.BytesToMove != want.BytesToMove || got.BytesPresent != want.BytesPresent {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// TestInspectSendsCredentialsOnlyToTheirSource: a user who may run commands in a pod may ask
// about any source, but not have the pod's credentials shown to it.
func TestInspectSendsCredentialsOnlyToTheirSource(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a", "one")
	var sent atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			sent.Add(1)
		}
	}))
	t.Cleanup(evil.Close)
	private := func(url string) *gatewayv1alpha1.Source {
		return &gatewayv1alpha1.Source{Name: "private",
			Config: &gatewayv1alpha1.Source_Http{Http: &gatewayv1alpha1.HTTPSource{Url: url, Secret: "billing"}}}
	}
	told := f.Assignment("ds", "r1", "a", "/a")
	told.Sources = append(told.Sources, private(f.Server.URL))
	g.Want(told)
	s := newSidecar(t, g)
	if err := os.MkdirAll(s.path("secrets/billing"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("secrets/billing/token"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	g.Success("ds-pod", "r1")
	for url, reason := range map[string]string{f.Server.URL: "", evil.URL: "CredentialsMissing"} {
		next := f.Assignment("ds", "r2", "a", "/a")
		next.Sources, next.Items[0].Source = []*gatewayv1alpha1.Source{private(url)}, "private"
		var plans []inspection.Plan
		s.inspect(question(t, next), &plans, "plan")
		if got := plans[0].Items[0].Reason; got != reason {
			t.Errorf("%s: got reason %q, want %q: %s", url, got, reason, plans[0].Items[0].Error)
		}
	}
	if n := sent.Load(); n > 0 {
		t.Errorf("the Secret was sent to another server %d times", n)
	}
}
