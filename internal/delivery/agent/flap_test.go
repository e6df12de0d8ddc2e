// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// quiet checks that tries which fail as before report nothing at all.
func quiet(p *pod, g *agenttest.Gateway) {
	p.t.Helper()
	p.retries(1)
	g.Forget()
	p.retries(4)
	for _, r := range g.Reports() {
		p.t.Errorf("a try that failed as before reported: %v", r)
	}
}

func TestFailureStaysReportedDuringRetries(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "a1")
	g.Want(f.Assignment("ds", "r1", "a", "/a1", "b", "/b1"))
	p := newPod(t, g)
	g.Failure("b", "NotFound")
	g.Await("a waits for b", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetItems()[0].GetPhase() == gatewayv1alpha1.Phase_PHASE_WAITING && r.GetItems()[0].GetDigest() != ""
	})
	quiet(p, g)
	f.Put("/b1", "b1")
	g.Success("ds-pod", "r1")
	p.wantFile("b", "b1")
}

func TestPathConflictStaysReportedDuringRetries(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/one", "one")
	f.Put("/two", "two")
	first, second := f.Assignment("first", "r1", "conf/a", "/one"), f.Assignment("second", "r1", "conf", "/two", "x", "/two")
	g.Want(first)
	p := newPod(t, g)
	g.Success("first-pod", "r1")
	g.Want(first, second)
	g.Failure("conf", "PathConflict")
	quiet(p, g)
}

func TestFailedHookStaysReportedAndLeavesOtherItemsSuccessful(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "a1")
	f.Put("/b1", "b1")
	a := f.Assignment("ds", "r1", "a", "/a1", "b", "/b1")
	for _, i := range a.Items {
		i.Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: exec()}
	}
	g.OnHook(func(r *gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		if r.GetItemName() == "b" {
			return &gatewayv1alpha1.RunHookResponse{ExitCode: 1, Output: "cannot load"}, nil
		}
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.Want(a)
	p := newPod(t, g)
	r := g.Failure("b", "HookFailed")
	if i := r.GetItems()[0]; i.GetPhase() != gatewayv1alpha1.Phase_PHASE_SUCCESS {
		t.Errorf("an item whose hook is done says %v", i)
	}
	if i := r.GetItems()[1]; r.GetCurrentRevision() != "r1" || !strings.Contains(i.GetMessage(), "cannot load") {
		t.Errorf("the failure is reported as %v", r)
	}
	quiet(p, g)
	g.OnHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.Success("ds-pod", "r1")
}
