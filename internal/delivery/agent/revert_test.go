// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"errors"
	"slices"
	"testing"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func TestFailedHookRevertsToTheLastConfirmedRevision(t *testing.T) {
	for name, between := range map[string]func(*pod){"at once": func(*pod) {}, "after a restart": (*pod).restart} {
		t.Run(name, func(t *testing.T) {
			g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
			for _, v := range []string{"/a1", "/b1", "/a2", "/b2", "/b3"} {
				f.Put(v, v)
			}
			assign := func(revision string, items ...string) *gatewayv1alpha1.Assignment {
				a := f.Assignment("ds", revision, items...)
				for _, i := range a.Items {
					i.Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: exec()}
				}
				return a
			}
			g.Want(assign("r1", "a", "/a1", "b", "/b1"))
			p := newPod(t, g)
			g.Success("ds-pod", "r1")
			g.OnHook(func(r *gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
				switch {
				case r.GetItemName() == "b" && r.GetRevision() == "r2":
					return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("container app does not run yet"))
				case r.GetItemName() == "b":
					return &gatewayv1alpha1.RunHookResponse{ExitCode: 1}, nil
				}
				return &gatewayv1alpha1.RunHookResponse{}, nil
			})
			g.Want(assign("r2", "a", "/a2", "b", "/b2"))
			g.Await("r2 waits for its second hook", func(r *gatewayv1alpha1.ReportRequest) bool {
				return r.GetCurrentRevision() == "r2" && r.GetItems()[0].GetPhase() == gatewayv1alpha1.Phase_PHASE_SUCCESS &&
					r.GetItems()[1].GetReason() == "HookPending"
			})
			between(p)
			g.Want(assign("r3", "a", "/a2", "b", "/b3"))
			r := g.Failure("b", "HookFailed")
			if r.GetCurrentRevision() != "r1" {
				t.Errorf("it went back to %s", r.GetCurrentRevision())
			}
			p.wantFile("a", "/a1")
			p.wantFile("b", "/b1")
			g.Await("the application is told of the item that r2 had changed", func(*gatewayv1alpha1.ReportRequest) bool {
				return slices.Contains(g.HookCalls(), "r3 HOOK_POINT_POST_DOWNLOAD a")
			})
		})
	}
}
