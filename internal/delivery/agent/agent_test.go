// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func exec() *gatewayv1alpha1.Hook {
	return &gatewayv1alpha1.Hook{Action: &gatewayv1alpha1.Hook_Exec{Exec: &gatewayv1alpha1.ExecHook{}}}
}

func TestFirstDeliveryOpensTheGateAfterTheSwitch(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	release := f.Block("/v1")
	g.Want(f.Assignment("ds", "r1", "conf/a", "/v1"))
	p := newPod(t, g, "ds")
	g.Await("downloading", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetItems()[0].GetPhase() == gatewayv1alpha1.Phase_PHASE_DOWNLOADING && r.GetCurrentRevision() == ""
	})
	if ready, missing := p.agent.Ready(); ready || !cmp.Equal(missing, []string{"ds"}) {
		t.Fatalf("ready before anything is in place: %t, %v", ready, missing)
	}
	release()
	r := g.Success("ds-pod", "r1")
	p.wantFile("conf/a", "one")
	if ready, _ := p.agent.Ready(); !ready {
		t.Error("not ready although everything is in place")
	}
	i := r.GetItems()[0]
	if i.GetBytes() != 3 || i.GetTotalBytes() != 3 || i.GetDigest() == "" || i.GetOrigin() != gatewayv1alpha1.Origin_ORIGIN_SOURCE ||
		i.GetStartTime() == nil || i.GetCompletionTime() == nil || i.GetVersion() != "/v1" {
		t.Errorf("the report lacks something: %v", i)
	}
}

func TestPromise2OneFailingItemHoldsTheSwitchOfAll(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "a1")
	f.Put("/b1", "b1")
	f.Put("/a2", "a2")
	g.Want(f.Assignment("ds", "r1", "a", "/a1", "b", "/b1"))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	g.Want(f.Assignment("ds", "r2", "a", "/a2", "b", "/b2"))
	g.Failure("b", "NotFound")
	g.Await("the other item says that it waits", func(r *gatewayv1alpha1.ReportRequest) bool {
		a := r.GetItems()[0]
		return r.GetRevision() == "r2" && r.GetCurrentRevision() == "r1" && a.GetName() == "a" &&
			a.GetReason() == "Waiting" && strings.Contains(a.GetMessage(), "waits for default/b")
	})
	p.wantFile("a", "a1")
	p.wantFile("b", "b1")
	f.Put("/b2", "b2")
	g.Success("ds-pod", "r2")
	p.wantFile("a", "a2")
	p.wantFile("b", "b2")
	if n := f.Gets("/a2"); n > 1 {
		t.Errorf("the item that was there was downloaded %d times", n)
	}
}

func TestPromise7RestartServesFromDiskWhenEverythingElseIsAway(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g, "ds")
	g.Success("ds-pod", "r1")
	p.stop()
	g.Down()
	f.Server.Close()
	g.Forget()
	p.start()
	if ready, missing := p.agent.Ready(); !ready {
		t.Fatalf("a restarted runtime waits for %v", missing)
	}
	p.wait("success from disk", func(s status.State) bool {
		return !s.Connected && len(s.DataSets) == 1 && s.DataSets[0].Revision == "r1" && len(s.DataSets[0].Items) == 1 &&
			s.DataSets[0].Items[0].Phase == "success" && !s.DataSets[0].Retained
	})
	p.wantFile("a", "one")
	g.Up(g.Address)
	r := g.Success("ds-pod", "r1")
	if r.GetItems()[0].GetOrigin() != gatewayv1alpha1.Origin_ORIGIN_SOURCE {
		t.Errorf("the origin was forgotten: %v", r)
	}
	for _, r := range g.Reports() {
		if r.GetItems()[0].GetPhase() != gatewayv1alpha1.Phase_PHASE_SUCCESS {
			t.Errorf("a restart took back what was reported: %v", r)
		}
	}
}

func TestRestartFinishesWhatIsKnownBeforeTheGatewayIsBack(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	release := f.Block("/v1")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g, "ds")
	g.Await("started", func(r *gatewayv1alpha1.ReportRequest) bool { return true })
	p.stop()
	g.Down()
	release()
	p.start()
	p.wait("delivery without a gateway", func(s status.State) bool { return len(s.DataSets) == 1 && s.DataSets[0].Revision == "r1" })
	p.wantFile("a", "one")
}

func TestReportIsRepeatedWhenTheGatewayComesBack(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	g.Down()
	p.wait("disconnected", func(s status.State) bool { return !s.Connected })
	g.Forget()
	g.Up(g.Address)
	g.Success("ds-pod", "r1")
	p.wantFile("a", "one")
}

func TestNewerRevisionDoesNotWaitForAnOlderOne(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/slow", "slow")
	f.Put("/fast", "fast")
	defer f.Block("/slow")()
	g.Want(f.Assignment("ds", "r1", "a", "/slow"))
	p := newPod(t, g)
	g.Await("r1 started", func(r *gatewayv1alpha1.ReportRequest) bool { return r.GetRevision() == "r1" })
	g.Want(f.Assignment("ds", "r2", "a", "/fast"))
	g.Success("ds-pod", "r2")
	p.wantFile("a", "fast")
}

func TestHooksRunInTheirOrderAndOnlyForWhatChanged(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, v := range []string{"/a1", "/a2", "/b1"} {
		f.Put(v, v)
	}
	with := func(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.Assignment {
		l := &gatewayv1alpha1.Lifecycle{PreDownload: exec(), PostDownload: exec()}
		a.Lifecycle = l
		for _, i := range a.Items {
			i.Lifecycle = l
		}
		return a
	}
	var runs atomic.Bool
	g.OnHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		if !runs.Load() {
			return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("container app does not run yet"))
		}
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.Want(with(f.Assignment("ds", "r1", "a", "/a1", "b", "/b1")))
	p := newPod(t, g, "ds")
	g.Await("a hook waits for its container while the data is in the view", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetCurrentRevision() == "r1" && r.GetItems()[0].GetReason() == "HookPending"
	})
	runs.Store(true)
	g.Success("ds-pod", "r1")
	want := []string{"r1 HOOK_POINT_POST_DOWNLOAD a", "r1 HOOK_POINT_POST_DOWNLOAD b", "r1 HOOK_POINT_POST_DOWNLOAD "}
	if d := cmp.Diff(want, slices.Compact(g.HookCalls())); d != "" {
		t.Errorf("first delivery (-want +got):\n%s", d)
	}
	g.Forget()
	g.Want(with(f.Assignment("ds", "r2", "a", "/a2", "b", "/b1")))
	g.Success("ds-pod", "r2")
	want = []string{"r2 HOOK_POINT_PRE_DOWNLOAD ", "r2 HOOK_POINT_PRE_DOWNLOAD a", "r2 HOOK_POINT_POST_DOWNLOAD a",
		"r2 HOOK_POINT_POST_DOWNLOAD "}
	if d := cmp.Diff(want, g.HookCalls()); d != "" {
		t.Errorf("change (-want +got):\n%s", d)
	}
	g.Forget()
	p.restart()
	g.Success("ds-pod", "r2")
	if calls := g.HookCalls(); len(calls) > 0 {
		t.Errorf("a restart repeated hooks that were done: %v", calls)
	}
}

func TestFailingHookTakesTheRevisionBackAndStaysSo(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, v := range []string{"/a1", "/a2", "/a3"} {
		f.Put(v, v)
	}
	assign := func(revision, version string) *gatewayv1alpha1.Assignment {
		a := f.Assignment("ds", revision, "a", version)
		a.Items[0].Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: exec()}
		return a
	}
	g.Want(assign("r1", "/a1"))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	g.Forget()
	broken := filepath.Join(p.dir().View(), "a")
	g.OnHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		// The application refuses r2 only.
		if c, _ := os.ReadFile(broken); string(c) == "/a2" {
			return &gatewayv1alpha1.RunHookResponse{ExitCode: 3, Output: "cannot load model"}, nil
		}
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.Want(assign("r2", "/a2"))
	r := g.Failure("a", "HookFailed")
	if m := r.GetItems()[0].GetMessage(); r.GetCurrentRevision() != "r1" || !strings.Contains(m, "exit status 3") ||
		!strings.Contains(m, "cannot load model") {
		t.Errorf("the report does not say why: %v", r)
	}
	p.wantFile("a", "/a1")
	g.Await("the application is told of what it sees again", func(*gatewayv1alpha1.ReportRequest) bool { return len(g.HookCalls()) == 4 })

	g.Forget()
	p.restart()
	g.Failure("a", "HookFailed")
	p.wantFile("a", "/a1")
	if calls := g.HookCalls(); len(calls) > 0 {
		t.Errorf("a restart tried the failed revision again: %v", calls)
	}
	g.Want(assign("r3", "/a3"))
	g.Success("ds-pod", "r3")
	p.wantFile("a", "/a3")
}

func TestFirstDeliveryWhoseHookFailsKeepsTheDataAndTriesAgain(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "one")
	a := f.Assignment("ds", "r1", "a", "/a1")
	a.Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: exec()}
	bad := &gatewayv1alpha1.RunHookResponse{ExitCode: 1}
	g.OnHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) { return bad, nil })
	g.Want(a)
	p := newPod(t, g, "ds")
	g.Failure("a", "HookFailed")
	p.wantFile("a", "one")
	if ready, _ := p.agent.Ready(); !ready {
		t.Error("the gate waits for a hook")
	}
	g.OnHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.Success("ds-pod", "r1")
}

func TestWithdrawnItemsLeaveTheView(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "conf/a", "/v1"))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	g.Want(&gatewayv1alpha1.Assignment{Data: "ds-pod", Dataset: "ds", Revision: "r1", Withdraw: true})
	g.Await("withdrawn", func(r *gatewayv1alpha1.ReportRequest) bool { return r.GetWithdrawn() && r.GetCurrentRevision() == "" })
	p.wantNoFile("conf")
	g.Want(f.Assignment("ds", "r2", "conf/a", "/v1"))
	g.Success("ds-pod", "r2")
	p.wantFile("conf/a", "one")
}

func TestUnassignedDataStaysAndHoldsNoGate(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g, "ds", "never")
	g.Success("ds-pod", "r1")
	g.WantMessage(&gatewayv1alpha1.WatchResponse{Gone: []string{"never"}})
	s := p.wait("retained", func(s status.State) bool { return len(s.DataSets) == 1 && s.DataSets[0].Retained })
	p.wantFile("a", "one")
	if ds := s.DataSets[0]; ds.Revision != "r1" || len(ds.Items) != 1 || ds.Items[0].Version != "/v1" {
		t.Errorf("the local API forgot what is in the view: %+v", ds)
	}
	if ready, missing := p.agent.Ready(); !ready {
		t.Errorf("waits for %v", missing)
	}
	p.restart()
	p.wantFile("a", "one")
}

func TestConflictingDataSetIsRefusedUntilThePlaceIsFree(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/one", "one")
	f.Put("/two", "two")
	first := f.Assignment("first", "r1", "conf/a", "/one")
	second := f.Assignment("second", "r1", "conf", "/two")
	g.Want(first)
	p := newPod(t, g)
	g.Success("first-pod", "r1")
	g.Want(first, second)
	g.Failure("conf", "PathConflict")
	p.wantFile("conf/a", "one")
	first = f.Assignment("first", "r2", "elsewhere", "/one")
	g.Want(first, second)
	g.Success("first-pod", "r2")
	g.Success("second-pod", "r1")
	p.wantFile("conf", "two")
	p.wantFile("elsewhere", "one")
}

func TestMissingTokenDelaysOnlyTheGateway(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	p.stop()
	g.Forget()
	if err := os.Remove(p.tokenFile()); err != nil {
		t.Fatal(err)
	}
	p.start()
	if err := os.WriteFile(p.tokenFile(), []byte(agenttest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	g.Success("ds-pod", "r1")
}

func TestUnsupportedSourceFailsItsItemOnly(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	future := f.Assignment("old", "r1", "x", "/x")
	future.Sources[0].Config = nil // of a kind that this runtime does not know
	missing := f.Assignment("broken", "r1", "y", "/y")
	missing.Sources = nil
	g.Want(future, missing, f.Assignment("ds", "r1", "a", "/v1"))
	newPod(t, g)
	r := g.Failure("x", "SourceUnsupported")
	if !strings.Contains(r.GetItems()[0].GetMessage(), "update Kuda") {
		t.Errorf("the message does not say what to do: %v", r)
	}
	g.Failure("y", "SourceMisconfigured")
	g.Success("ds-pod", "r1")
}

func TestPromise3DamagedSnapshotIsDeliveredAgainAfterARestart(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "the right bytes")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	p.stop()
	g.Forget()
	target, err := filepath.EvalSymlinks(filepath.Join(p.dir().View(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("rotten"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.start()
	// What was said before the restart stays until the check finds the damage, so
	// a success may still be the old one.
	p.wait("the right bytes", func(status.State) bool { return p.file("a") == "the right bytes" })
	g.Success("ds-pod", "r1")
}

func TestPromise11GoingBackNeedsNoDownload(t *testing.T) {
	for name, between := range map[string]func(*pod){"at once": func(*pod) {}, "after a restart": (*pod).restart} {
		t.Run(name, func(t *testing.T) {
			g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
			f.Put("/v1", "one")
			f.Put("/v2", "two")
			g.Want(f.Assignment("ds", "r1", "a", "/v1"))
			p := newPod(t, g)
			g.Success("ds-pod", "r1")
			g.Want(f.Assignment("ds", "r2", "a", "/v2"))
			g.Success("ds-pod", "r2")
			f.Server.Close()
			g.Forget()
			between(p)
			g.Want(f.Assignment("ds", "r1", "a", "/v1"))
			g.Success("ds-pod", "r1")
			p.wantFile("a", "one")
		})
	}
}

func TestManyChangesEndAtTheNewest(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	p := newPod(t, g)
	for i := range 30 {
		v := fmt.Sprintf("/v%d", i)
		f.Put(v, v)
		g.Want(f.Assignment("ds", fmt.Sprint("r", i), "a", v))
	}
	g.Success("ds-pod", "r29")
	p.wantFile("a", "/v29")
}
