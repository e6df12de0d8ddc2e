// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/agent"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func newReader(s string) io.ReadSeeker { return strings.NewReader(s) }

func exec() *gatewayv1alpha1.Hook {
	return &gatewayv1alpha1.Hook{Action: &gatewayv1alpha1.Hook_Exec{Exec: &gatewayv1alpha1.ExecHook{}}}
}

func TestFirstDeliveryOpensTheGateAfterTheSwitch(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	release := f.block("/v1")
	g.want(f.assignment("ds", "r1", "conf/a", "/v1"))
	p := newPod(t, g, "ds")
	g.report("downloading", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetItems()[0].GetPhase() == gatewayv1alpha1.Phase_PHASE_DOWNLOADING && r.GetCurrentRevision() == ""
	})
	if ready, missing := p.agent.Ready(); ready || !cmp.Equal(missing, []string{"ds"}) {
		t.Fatalf("ready before anything is in place: %t, %v", ready, missing)
	}
	release()
	r := g.success("ds-pod", "r1")
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
	g, f := newGateway(t), newFiles(t)
	f.put("/a1", "a1")
	f.put("/b1", "b1")
	f.put("/a2", "a2")
	g.want(f.assignment("ds", "r1", "a", "/a1", "b", "/b1"))
	p := newPod(t, g)
	g.success("ds-pod", "r1")
	g.want(f.assignment("ds", "r2", "a", "/a2", "b", "/b2"))
	g.failure("b", "NotFound")
	g.report("the other item says that it waits", func(r *gatewayv1alpha1.ReportRequest) bool {
		a := r.GetItems()[0]
		return r.GetRevision() == "r2" && r.GetCurrentRevision() == "r1" && a.GetName() == "a" &&
			a.GetReason() == "Waiting" && strings.Contains(a.GetMessage(), "waits for default/b")
	})
	p.wantFile("a", "a1")
	p.wantFile("b", "b1")
	f.put("/b2", "b2")
	g.success("ds-pod", "r2")
	p.wantFile("a", "a2")
	p.wantFile("b", "b2")
	if n := f.gets("/a2"); n > 1 {
		t.Errorf("the item that was there was downloaded %d times", n)
	}
}

func TestPromise7RestartServesFromDiskWhenEverythingElseIsAway(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g, "ds")
	g.success("ds-pod", "r1")
	p.stop()
	g.down()
	f.server.Close()
	g.forget()
	p.start()
	if ready, missing := p.agent.Ready(); !ready {
		t.Fatalf("a restarted runtime waits for %v", missing)
	}
	p.wait("success from disk", func(s agent.State) bool {
		return !s.Connected && len(s.DataSets) == 1 && s.DataSets[0].Revision == "r1" && len(s.DataSets[0].Items) == 1 &&
			s.DataSets[0].Items[0].Phase == "success" && !s.DataSets[0].Retained
	})
	p.wantFile("a", "one")
	g.up(g.address)
	r := g.success("ds-pod", "r1")
	if r.GetItems()[0].GetOrigin() != gatewayv1alpha1.Origin_ORIGIN_SOURCE {
		t.Errorf("the origin was forgotten: %v", r)
	}
	for _, r := range g.reports {
		if r.GetItems()[0].GetPhase() != gatewayv1alpha1.Phase_PHASE_SUCCESS {
			t.Errorf("a restart took back what was reported: %v", r)
		}
	}
}

func TestRestartFinishesWhatIsKnownBeforeTheGatewayIsBack(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	release := f.block("/v1")
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g, "ds")
	g.report("started", func(r *gatewayv1alpha1.ReportRequest) bool { return true })
	p.stop()
	g.down()
	release()
	p.start()
	p.wait("delivery without a gateway", func(s agent.State) bool { return len(s.DataSets) == 1 && s.DataSets[0].Revision == "r1" })
	p.wantFile("a", "one")
}

func TestReportIsRepeatedWhenTheGatewayComesBack(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	g.success("ds-pod", "r1")
	g.down()
	p.wait("disconnected", func(s agent.State) bool { return !s.Connected })
	g.forget()
	g.up(g.address)
	g.success("ds-pod", "r1")
	p.wantFile("a", "one")
}

func TestNewerRevisionDoesNotWaitForAnOlderOne(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/slow", "slow")
	f.put("/fast", "fast")
	defer f.block("/slow")()
	g.want(f.assignment("ds", "r1", "a", "/slow"))
	p := newPod(t, g)
	g.report("r1 started", func(r *gatewayv1alpha1.ReportRequest) bool { return r.GetRevision() == "r1" })
	g.want(f.assignment("ds", "r2", "a", "/fast"))
	g.success("ds-pod", "r2")
	p.wantFile("a", "fast")
}

func TestHooksRunInTheirOrderAndOnlyForWhatChanged(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	for _, v := range []string{"/a1", "/a2", "/b1"} {
		f.put(v, v)
	}
	with := func(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.Assignment {
		l := &gatewayv1alpha1.Lifecycle{PreDownload: exec(), PostDownload: exec()}
		a.Lifecycle = l
		for _, i := range a.Items {
			i.Lifecycle = l
		}
		return a
	}
	pending := 3
	g.onHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		if pending--; pending >= 0 {
			return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("container app does not run yet"))
		}
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.want(with(f.assignment("ds", "r1", "a", "/a1", "b", "/b1")))
	p := newPod(t, g, "ds")
	g.report("a hook waits for its container while the data is in the view", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetCurrentRevision() == "r1" && r.GetItems()[0].GetReason() == "HookPending"
	})
	g.success("ds-pod", "r1")
	want := []string{"r1 HOOK_POINT_POST_DOWNLOAD a", "r1 HOOK_POINT_POST_DOWNLOAD a", "r1 HOOK_POINT_POST_DOWNLOAD a",
		"r1 HOOK_POINT_POST_DOWNLOAD a", "r1 HOOK_POINT_POST_DOWNLOAD b", "r1 HOOK_POINT_POST_DOWNLOAD "}
	if d := cmp.Diff(want, g.hookCalls()); d != "" {
		t.Errorf("first delivery (-want +got):\n%s", d)
	}
	g.forget()
	g.want(with(f.assignment("ds", "r2", "a", "/a2", "b", "/b1")))
	g.success("ds-pod", "r2")
	want = []string{"r2 HOOK_POINT_PRE_DOWNLOAD ", "r2 HOOK_POINT_PRE_DOWNLOAD a", "r2 HOOK_POINT_POST_DOWNLOAD a", "r2 HOOK_POINT_POST_DOWNLOAD "}
	if d := cmp.Diff(want, g.hookCalls()); d != "" {
		t.Errorf("change (-want +got):\n%s", d)
	}
	g.forget()
	p.restart()
	g.success("ds-pod", "r2")
	if calls := g.hookCalls(); len(calls) > 0 {
		t.Errorf("a restart repeated hooks that were done: %v", calls)
	}
}

func TestFailingHookTakesTheRevisionBackAndStaysSo(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	for _, v := range []string{"/a1", "/a2", "/a3"} {
		f.put(v, v)
	}
	assign := func(revision, version string) *gatewayv1alpha1.Assignment {
		a := f.assignment("ds", revision, "a", version)
		a.Items[0].Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: exec()}
		return a
	}
	g.want(assign("r1", "/a1"))
	p := newPod(t, g)
	g.success("ds-pod", "r1")
	g.forget()
	broken := filepath.Join(p.dir(), agent.ViewDir, "a")
	g.onHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		// The application refuses r2 only.
		if c, _ := os.ReadFile(broken); string(c) == "/a2" {
			return &gatewayv1alpha1.RunHookResponse{ExitCode: 3, Output: "cannot load model"}, nil
		}
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.want(assign("r2", "/a2"))
	r := g.failure("a", "HookFailed")
	if m := r.GetItems()[0].GetMessage(); r.GetCurrentRevision() != "r1" || !strings.Contains(m, "exit status 3") || !strings.Contains(m, "cannot load model") {
		t.Errorf("the report does not say why: %v", r)
	}
	p.wantFile("a", "/a1")
	g.report("the application is told of what it sees again", func(*gatewayv1alpha1.ReportRequest) bool { return len(g.hookCalls()) == 4 })

	g.forget()
	p.restart()
	g.failure("a", "HookFailed")
	p.wantFile("a", "/a1")
	if calls := g.hookCalls(); len(calls) > 0 {
		t.Errorf("a restart tried the failed revision again: %v", calls)
	}
	g.want(assign("r3", "/a3"))
	g.success("ds-pod", "r3")
	p.wantFile("a", "/a3")
}

func TestFirstDeliveryWhoseHookFailsKeepsTheDataAndTriesAgain(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/a1", "one")
	a := f.assignment("ds", "r1", "a", "/a1")
	a.Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: exec()}
	bad := &gatewayv1alpha1.RunHookResponse{ExitCode: 1}
	g.onHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) { return bad, nil })
	g.want(a)
	p := newPod(t, g, "ds")
	g.failure("a", "HookFailed")
	p.wantFile("a", "one")
	if ready, _ := p.agent.Ready(); !ready {
		t.Error("the gate waits for a hook")
	}
	g.onHook(func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		return &gatewayv1alpha1.RunHookResponse{}, nil
	})
	g.success("ds-pod", "r1")
}

func TestWithdrawnItemsLeaveTheView(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	g.want(f.assignment("ds", "r1", "conf/a", "/v1"))
	p := newPod(t, g)
	g.success("ds-pod", "r1")
	g.want(&gatewayv1alpha1.Assignment{Data: "ds-pod", Dataset: "ds", Revision: "r1", Withdraw: true})
	g.report("withdrawn", func(r *gatewayv1alpha1.ReportRequest) bool { return r.GetWithdrawn() && r.GetCurrentRevision() == "" })
	p.wantNoFile("conf")
	g.want(f.assignment("ds", "r2", "conf/a", "/v1"))
	g.success("ds-pod", "r2")
	p.wantFile("conf/a", "one")
}

func TestUnassignedDataStaysAndHoldsNoGate(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g, "ds", "never")
	g.success("ds-pod", "r1")
	g.mu.Lock()
	g.desired = &gatewayv1alpha1.WatchResponse{Gone: []string{"never"}}
	g.mu.Unlock()
	g.changed.send()
	s := p.wait("retained", func(s agent.State) bool { return len(s.DataSets) == 1 && s.DataSets[0].Retained })
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
	g, f := newGateway(t), newFiles(t)
	f.put("/one", "one")
	f.put("/two", "two")
	first := f.assignment("first", "r1", "conf/a", "/one")
	second := f.assignment("second", "r1", "conf", "/two")
	g.want(first)
	p := newPod(t, g)
	g.success("first-pod", "r1")
	g.want(first, second)
	g.failure("conf", "PathConflict")
	p.wantFile("conf/a", "one")
	first = f.assignment("first", "r2", "elsewhere", "/one")
	g.want(first, second)
	g.success("first-pod", "r2")
	g.success("second-pod", "r1")
	p.wantFile("conf", "two")
	p.wantFile("elsewhere", "one")
}

func TestMissingTokenDelaysOnlyTheGateway(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	p.stop()
	g.forget()
	if err := os.Remove(p.tokenFile()); err != nil {
		t.Fatal(err)
	}
	p.start()
	if err := os.WriteFile(p.tokenFile(), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	g.success("ds-pod", "r1")
}

func TestUnsupportedSourceFailsItsItemOnly(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	hdfs := f.assignment("old", "r1", "x", "/x")
	hdfs.Sources[0].Config = &gatewayv1alpha1.Source_Hdfs{Hdfs: &gatewayv1alpha1.HDFSSource{Addresses: []string{"nn:9000"}}}
	missing := f.assignment("broken", "r1", "y", "/y")
	missing.Sources = nil
	g.want(hdfs, missing, f.assignment("ds", "r1", "a", "/v1"))
	newPod(t, g)
	r := g.failure("x", "SourceUnsupported")
	if !strings.Contains(r.GetItems()[0].GetMessage(), "update Kuda") {
		t.Errorf("the message does not say what to do: %v", r)
	}
	g.failure("y", "SourceMisconfigured")
	g.success("ds-pod", "r1")
}

func TestPromise3DamagedSnapshotIsDeliveredAgainAfterARestart(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "the right bytes")
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	g.success("ds-pod", "r1")
	p.stop()
	g.forget()
	target, err := filepath.EvalSymlinks(filepath.Join(p.dir(), agent.ViewDir, "a"))
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
	g.success("ds-pod", "r1")
	p.wantFile("a", "the right bytes")
}

func TestPromise11GoingBackNeedsNoDownload(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	f.put("/v1", "one")
	f.put("/v2", "two")
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	g.success("ds-pod", "r1")
	g.want(f.assignment("ds", "r2", "a", "/v2"))
	g.success("ds-pod", "r2")
	f.server.Close()
	g.forget()
	g.want(f.assignment("ds", "r1", "a", "/v1"))
	g.success("ds-pod", "r1")
	p.wantFile("a", "one")
}

func TestManyChangesEndAtTheNewest(t *testing.T) {
	g, f := newGateway(t), newFiles(t)
	p := newPod(t, g)
	for i := range 30 {
		v := fmt.Sprintf("/v%d", i)
		f.put(v, v)
		g.want(f.assignment("ds", fmt.Sprint("r", i), "a", v))
	}
	g.success("ds-pod", "r29")
	p.wantFile("a", "/v29")
}
