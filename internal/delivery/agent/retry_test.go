// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// patient is a pod whose failed items wait for an hour.
func patient(t *testing.T, g *agenttest.Gateway) *pod {
	t.Helper()
	p := makePod(t, g)
	p.pause = time.Hour
	p.begin()
	return p
}

func withToken(a *gatewayv1alpha1.Assignment, token string) *gatewayv1alpha1.Assignment {
	a = proto.CloneOf(a)
	a.RetryToken = token
	return a
}

// awaitFailure waits for a try that failed, and waits now for the next.
func (p *pod) awaitFailure() {
	p.t.Helper()
	select {
	case <-p.failed:
	case <-time.After(20 * time.Second):
		p.t.Fatal("no try failed")
	}
}

// quiet waits for so long and reports whether no try failed meanwhile.
func (p *pod) quiet(d time.Duration) bool {
	select {
	case <-p.failed:
		return false
	case <-time.After(d):
		return true
	}
}

func TestAFailedItemIsTriedAtOnceWhenThatIsRequested(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	want := f.Assignment("ds", "r1", "a", "/a")
	g.Want(want)
	p := patient(t, g)
	g.Failure("a", "NotFound")
	f.Put("/a", "one")
	begun := time.Now()
	g.Want(withToken(want, "t1"))
	g.Success("ds-pod", "r1")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("delivered %s after the request", took)
	}
	p.wantFile("a", "one")
}

// A request is acted on once: neither a restart nor the gateway, which repeats what is
// wanted, makes it one more.
func TestARequestThatStaysIsNotOneMore(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	want := f.Assignment("ds", "r1", "a", "/a")
	g.Want(want)
	p := patient(t, g)
	g.Failure("a", "NotFound")
	p.awaitFailure()
	g.Want(withToken(want, "t1"))
	p.awaitFailure()
	repeated := withToken(want, "t1")
	g.WantMessage(&gatewayv1alpha1.WatchResponse{Assignments: []*gatewayv1alpha1.Assignment{repeated}, Gone: []string{"other"}})
	if !p.quiet(300 * time.Millisecond) {
		t.Error("a token that stayed was acted on again")
	}
	p.restart() // tries once, as each start does
	p.awaitFailure()
	if !p.quiet(300 * time.Millisecond) {
		t.Error("after a restart the token was acted on again")
	}
	f.Put("/a", "one")
	g.Want(withToken(want, "t2"))
	g.Success("ds-pod", "r1")
}

// hasFirstItem reports whether all bytes of the first item came, and the second is on its way.
func hasFirstItem(s status.State) bool {
	items := s.DataSets[0].Items
	return len(items) == 2 && items[0].Bytes > 0 && items[0].Bytes == items[0].TotalBytes && items[1].Phase == status.PhaseDownloading
}

func TestARequestDoesNotWaitForAnotherItemsDownload(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/big", "big")
	release := f.Block("/big")
	defer release()
	want := f.Assignment("ds", "r1", "a", "/a", "big", "/big")
	g.Want(want)
	p := patient(t, g)
	// Shown although the other item is still on its way.
	g.Failure("a", "NotFound")
	f.Put("/a", "one")
	g.Want(withToken(want, "t1"))
	p.wait("a is in the store", hasFirstItem)
	if n := f.Gets("/big"); n > 1 {
		t.Errorf("the request interrupted the other download: %d tries", n)
	}
	release()
	g.Success("ds-pod", "r1")
}

func TestAnItemThatFailsIsTriedAgainWhileAnotherIsOnItsWay(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/big", "big")
	release := f.Block("/big")
	defer release()
	g.Want(f.Assignment("ds", "r1", "a", "/a", "big", "/big"))
	p := newPod(t, g)
	g.Failure("a", "NotFound")
	p.retries(3)
	f.Put("/a", "one")
	p.wait("a is in the store", hasFirstItem)
	release()
	g.Success("ds-pod", "r1")
}

func TestARequestTriesARevisionAgainThatIsHeldBack(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "one")
	f.Put("/a2", "two")
	var mended atomic.Bool
	hooked := func(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.Assignment {
		a.Lifecycle = &gatewayv1alpha1.Lifecycle{PostDownload: &gatewayv1alpha1.Hook{
			Action: &gatewayv1alpha1.Hook_Exec{Exec: &gatewayv1alpha1.ExecHook{}}}}
		return a
	}
	g.OnHook(func(r *gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		resp := &gatewayv1alpha1.RunHookResponse{}
		if !mended.Load() && r.GetRevision() == "r2" {
			resp.ExitCode = 1
		}
		return resp, nil
	})
	g.Want(hooked(f.Assignment("ds", "r1", "a", "/a1")))
	p := patient(t, g)
	g.Success("ds-pod", "r1")
	second := hooked(f.Assignment("ds", "r2", "a", "/a2"))
	g.Want(second)
	g.Failure("a", "HookFailed")
	p.wantFile("a", "one")
	p.agent.MountsChanged() // is no request
	p.restart()
	if !p.quiet(200*time.Millisecond) || p.file("a") != "one" {
		t.Error("what is held back was tried without a request")
	}
	mended.Store(true)
	g.Want(withToken(second, "t1"))
	g.Success("ds-pod", "r2")
	p.wantFile("a", "two")
}

func TestARequestTriesAFailedPrefetch(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "one")
	want := later(f.Assignment("ds", "r1", "a", "/a1"), f.Assignment("ds", "r2", "a", "/a2"))
	g.Want(want)
	patient(t, g)
	prefetchPhase(g, "r2", prefetchFailed)
	f.Put("/a2", "two")
	g.Want(withToken(want, "t1"))
	prefetchPhase(g, "r2", prefetched)
}

// mountLacks waits for a report on what mounts lack, "" for nothing, as "name state".
func mountLacks(g *agenttest.Gateway, want ...string) {
	g.Await("mounts lack", func(r *gatewayv1alpha1.ReportRequest) bool {
		if r.GetMounts() == nil {
			return false
		}
		var lacks []string
		for _, m := range r.GetMounts().GetMissing() {
			lacks = append(lacks, m.GetName()+" "+m.GetState().String())
		}
		return slices.Equal(lacks, want)
	})
}

func TestAChangedMountIsUsedAtOnce(t *testing.T) {
	v := newVault(t, "private bytes", "good")
	g := agenttest.NewGateway(t)
	want := v.asks("ds", "r1", func(s *gatewayv1alpha1.HTTPSource) { s.Secret = "keys" })
	p := patient(t, g)
	p.secret("keys", "bad")
	g.Want(want)
	g.Failure("model", "AccessDenied")
	mountLacks(g)
	p.secret("keys", "good")
	p.agent.MountsChanged()
	g.Success("ds-pod", "r1")
	p.wantFile("model", "private bytes")
}

// The bytes are on the node, so that the Secret is not needed now; the next node needs it.
func TestAMissingSecretIsReportedThoughTheBytesAreThere(t *testing.T) {
	v := newVault(t, "private bytes", "good")
	g := agenttest.NewGateway(t)
	p := newPod(t, g)
	p.secret("keys", "good")
	g.Want(v.asks("ds", "r1", func(s *gatewayv1alpha1.HTTPSource) { s.Secret = "keys" }))
	g.Success("ds-pod", "r1")
	mountLacks(g)
	g.Want(v.asks("ds", "r2", func(s *gatewayv1alpha1.HTTPSource) { s.Secret = "renamed" }))
	mountLacks(g, "renamed MOUNT_STATE_NOT_MOUNTED")
	p.secret("renamed", "good")
	p.agent.MountsChanged()
	mountLacks(g)
	g.Success("ds-pod", "r2")
}
