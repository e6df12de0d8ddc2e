// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// beside is the runtime of another pod with the same store.
func (s *sidecarProcess) beside(g *agenttest.Gateway, uid string) *sidecarProcess {
	s.t.Helper()
	other := newSidecar(s.t, g)
	other.root = s.root
	other.env = append(other.env, sidecar.EnvPodUID+"="+uid)
	return other
}

func (s *sidecarProcess) ofNode() *sidecarProcess {
	s.env = append(s.env, sidecar.EnvStore+"="+sidecar.StoreNode)
	return s
}

// holding reports whether a report has the item of the version complete, under the
// name that the control plane gives it.
func holding(a *gatewayv1alpha1.Assignment, version string) func(*gatewayv1alpha1.ReportStoreRequest) bool {
	mark := ""
	for _, i := range a.GetItems() {
		if i.GetVersion() == version {
			mark = item.Mark(i, a.GetSources()[0])
		}
	}
	return func(r *gatewayv1alpha1.ReportStoreRequest) bool {
		return slices.ContainsFunc(r.GetSnapshots(), func(s *gatewayv1alpha1.StoredSnapshot) bool {
			return s.GetPhase() == gatewayv1alpha1.Phase_PHASE_SUCCESS && s.GetVersion() == version && slices.Contains(s.GetMarks(), mark)
		})
	}
}

func TestAnotherRuntimeReportsAfterTheReporterIsKilled(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, path := range []string{"/v1", "/v2", "/v3"} {
		f.Put(path, path)
	}
	r1, r2, r3 := f.Assignment("ds", "r1", "a", "/v1"), f.Assignment("ds", "r2", "a", "/v2"), f.Assignment("ds", "r3", "a", "/v3")
	g.Want(r1)
	first := newSidecar(t, g).ofNode()
	first.start()
	g.AwaitStore("the first item", holding(r1, "/v1"))
	second := first.beside(g, "second").ofNode()
	second.start()
	g.Want(r2)
	id := g.AwaitStore("the second item", holding(r2, "/v2")).GetStoreId()
	first.kill(syscall.SIGKILL)
	g.Forget()
	killed := time.Now()
	r := g.AwaitStore("what there is, by the other one", holding(r2, "/v2"))
	if took := time.Since(killed); took > 6*time.Second {
		t.Errorf("taken over after %s", took)
	}
	if r.GetStoreId() != id || r.GetCapacityBytes() == 0 || r.GetAvailableBytes() == 0 {
		t.Errorf("got %v", r)
	}
	g.Want(r3)
	g.AwaitStore("the third item", holding(r3, "/v3"))
}

// The manager ends a pod that preheats when its data is delivered. No runtime
// may be left there to report it.
func TestPreheatedDataIsReportedBeforeItsPodEnds(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	a := f.Assignment("ds", "r1", "a", "/v1")
	a.Preheat = true
	g.Want(a)
	s := newSidecar(t, g).ofNode()
	s.start()
	g.Success("ds-pod", "r1")
	process := s.cmd
	started := time.Now()
	s.kill(syscall.SIGTERM)
	if took := time.Since(started); took > 2*time.Second || !process.ProcessState.Success() {
		t.Errorf("ended after %s: %s", took, process.ProcessState)
	}
	found := slices.ContainsFunc(g.Stores(), func(r *gatewayv1alpha1.ReportStoreRequest) bool {
		return holding(a, "/v1")(r) && r.GetSnapshots()[0].GetPreheated()
	})
	if !found {
		t.Errorf("reported: %v", g.Stores())
	}
}

func TestStoreOfOnePodIsNotReported(t *testing.T) {
	for _, mode := range []string{"", sidecar.StorePod} {
		g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
		f.Put("/v1", "one")
		g.Want(f.Assignment("ds", "r1", "a", "/v1"))
		s := newSidecar(t, g)
		s.env = append(s.env, sidecar.EnvStore+"="+mode)
		s.start()
		g.Success("ds-pod", "r1")
		s.kill(syscall.SIGTERM)
		if n := len(g.Stores()); n > 0 {
			t.Errorf("mode %q: %d reports", mode, n)
		}
	}
	cmd := newCommand()
	cmd.SetArgs(strings.Fields("--pod-uid=x --gateway=h:1 --store-mode=Node"))
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), sidecar.EnvStore) {
		t.Errorf("got %v", err)
	}
}
