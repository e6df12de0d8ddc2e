// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// later adds to an assignment what another one has, to be prefetched.
func later(a, next *gatewayv1alpha1.Assignment) *gatewayv1alpha1.Assignment {
	a.Prefetch = &gatewayv1alpha1.Prefetch{Revision: next.GetRevision(), Items: next.GetItems(), Sources: next.GetSources()}
	return a
}

func prefetchPhase(g *agenttest.Gateway, revision string, phase gatewayv1alpha1.Phase) *gatewayv1alpha1.ReportRequest {
	return g.Await("prefetch of "+revision+": "+phase.String(), func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetPrefetch().GetRevision() == revision && r.GetPrefetch().GetPhase() == phase
	})
}

const (
	prefetched     = gatewayv1alpha1.Phase_PHASE_SUCCESS
	prefetchFailed = gatewayv1alpha1.Phase_PHASE_FAILED
	prefetching    = gatewayv1alpha1.Phase_PHASE_DOWNLOADING
)

// needed are the snapshots that must not be evicted.
func (p *pod) needed() map[snapshot.ID]bool {
	p.t.Helper()
	ids, err := podstate.NewPods(p.root).Needed()
	if err != nil {
		p.t.Fatal(err)
	}
	return ids
}

// wantNeeded waits until so many snapshots are protected.
func (p *pod) wantNeeded(n int) {
	p.t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(20 * time.Second)
	for len(p.needed()) != n {
		select {
		case <-again.C:
		case <-deadline:
			p.t.Fatalf("%d snapshots are protected, want %d", len(p.needed()), n)
		}
	}
}

func TestPrefetchedRevisionIsDeliveredWithoutItsSource(t *testing.T) {
	for name, between := range map[string]func(*pod){"at once": func(*pod) {}, "after a restart": (*pod).restart} {
		t.Run(name, func(t *testing.T) {
			g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
			for path, content := range map[string]string{"/a1": "a1", "/a2": "a2", "/same": "same"} {
				f.Put(path, content)
			}
			r2 := f.Assignment("ds", "r2", "a", "/a2", "b", "/same")
			r2.Items[0].Lifecycle = &gatewayv1alpha1.Lifecycle{PreDownload: exec(), PostDownload: exec()}
			g.Want(f.Assignment("ds", "r1", "a", "/a1", "b", "/same"))
			p := newPod(t, g)
			g.Success("ds-pod", "r1")
			g.Forget()
			g.Want(later(f.Assignment("ds", "r1", "a", "/a1", "b", "/same"), r2))
			r := prefetchPhase(g, "r2", prefetched)
			if got := r.GetPrefetch(); got.GetBytes() != 6 || got.GetTotalBytes() != 6 || r.GetRevision() != "r1" || r.GetCurrentRevision() != "r1" {
				t.Errorf("report: %v", r)
			}
			p.wantFile("a", "a1")
			if calls := g.HookCalls(); len(calls) > 0 {
				t.Errorf("hooks were run for what is not there yet: %v", calls)
			}
			if n := f.Gets("/same"); n != 1 {
				t.Errorf("what both revisions have was downloaded %d times", n)
			}
			if n := len(p.needed()); n != 3 {
				t.Errorf("%d snapshots are protected, want 3", n)
			}
			f.Server.Close()
			g.Forget()
			between(p)
			g.Want(r2)
			r = g.Success("ds-pod", "r2")
			p.wantFile("a", "a2")
			if r.GetPrefetch() != nil || r.GetItems()[0].GetOrigin() != gatewayv1alpha1.Origin_ORIGIN_SOURCE {
				t.Errorf("report: %v", r)
			}
			if calls := g.HookCalls(); !slices.Equal(calls, []string{"r2 HOOK_POINT_PRE_DOWNLOAD a", "r2 HOOK_POINT_POST_DOWNLOAD a"}) {
				t.Errorf("hooks: %v", calls)
			}
			g.Forget()
			g.Want(f.Assignment("ds", "r1", "a", "/a1", "b", "/same"))
			g.Success("ds-pod", "r1")
			p.wantFile("a", "a1")
			p.wantNeeded(3)
			if left, err := os.ReadDir(filepath.Join(string(p.dir()), "prefetch")); err != nil || len(left) > 0 {
				t.Errorf("left of the prefetch: %v, %v", left, err)
			}
		})
	}
}

func TestWithdrawnPrefetchReleasesItsSnapshots(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a1", "a1")
	f.Put("/a2", "a2")
	g.Want(later(f.Assignment("ds", "r1", "a", "/a1"), f.Assignment("ds", "r2", "a", "/a2")))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	prefetchPhase(g, "r2", prefetched)
	st, err := store.Open(store.Options{Root: p.root, Needed: podstate.NewPods(p.root).Needed})
	if err != nil {
		t.Fatal(err)
	}
	if pruned, err := st.Prune(0, false); err != nil || len(pruned) > 0 {
		t.Fatalf("evicted %v, %v", pruned, err)
	}
	g.Forget()
	g.Want(f.Assignment("ds", "r1", "a", "/a1"))
	g.Await("no prefetch", func(r *gatewayv1alpha1.ReportRequest) bool { return r.GetPrefetch() == nil })
	if pruned, err := st.Prune(0, false); err != nil || len(pruned) != 1 || pruned[0].Key.Version != "/a2" {
		t.Errorf("evicted %v, %v", pruned, err)
	}
	p.wantFile("a", "a1")
}

func TestFailedPrefetchLeavesTheCurrentRevisionUnaffected(t *testing.T) {
	for name, c := range map[string]struct {
		damage, repair func(*agenttest.Files, *gatewayv1alpha1.Assignment)
		reason         string
	}{
		"nothing there": {func(*agenttest.Files, *gatewayv1alpha1.Assignment) {},
			func(f *agenttest.Files, _ *gatewayv1alpha1.Assignment) { f.Put("/a2", "a2") }, "NotFound"},
		"wrong digest": {func(f *agenttest.Files, a *gatewayv1alpha1.Assignment) {
			f.Put("/a2", "not a2")
			a.Items[0].Digest = "sha256:" + strings.Repeat("0", 64)
		}, nil, "DigestMismatch"},
		"source down": {func(f *agenttest.Files, a *gatewayv1alpha1.Assignment) {
			a.Sources[0].GetHttp().Url = "http://127.0.0.1:1/"
		}, nil, "SourceUnreachable"},
		"no driver": {func(f *agenttest.Files, a *gatewayv1alpha1.Assignment) {
			a.Sources[0].Config = nil // of a kind that this runtime does not know
		}, nil, "SourceUnsupported"},
		"no source": {func(_ *agenttest.Files, a *gatewayv1alpha1.Assignment) { a.Sources = nil }, nil, "SourceMisconfigured"},
		"no secrets": {func(_ *agenttest.Files, a *gatewayv1alpha1.Assignment) { a.Sources[0].GetHttp().Secret = "missing" }, nil,
			"CredentialsMissing"},
	} {
		t.Run(name, func(t *testing.T) {
			g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
			f.Put("/a1", "a1")
			f.Put("/b", "b")
			next := f.Assignment("ds", "r2", "a", "/a2", "b", "/b")
			c.damage(f, next)
			g.Want(later(f.Assignment("ds", "r1", "a", "/a1"), next))
			p := newPod(t, g)
			g.Success("ds-pod", "r1")
			r := g.Await("failed", func(r *gatewayv1alpha1.ReportRequest) bool {
				return r.GetPrefetch().GetPhase() == prefetchFailed && r.GetPrefetch().GetReason() == c.reason
			})
			if !strings.HasPrefix(r.GetPrefetch().GetMessage(), "item default/") {
				t.Errorf("message: %s", r.GetPrefetch().GetMessage())
			}
			p.retries(2)
			for _, r := range g.Reports() {
				if r.GetItems()[0].GetPhase() == gatewayv1alpha1.Phase_PHASE_FAILED {
					t.Errorf("the present was reported as failed: %v", r)
				}
			}
			p.wantFile("a", "a1")
			if c.repair != nil {
				c.repair(f, next)
				prefetchPhase(g, "r2", prefetched)
			}
		})
	}
}

func TestDeliveryDoesNotWaitForAPrefetch(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, path := range []string{"/a1", "/a2", "/other"} {
		f.Put(path, path)
	}
	release := f.Block("/a2")
	defer release()
	first := later(f.Assignment("ds", "r1", "a", "/a1"), f.Assignment("ds", "r2", "a", "/a2"))
	g.Want(first)
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	prefetchPhase(g, "r2", prefetching)
	g.Want(first, f.Assignment("other", "r1", "other", "/other"))
	g.Success("other-pod", "r1")
	p.wantFile("other", "/other")
	release()
	prefetchPhase(g, "r2", prefetched)
}

func TestNewerPrefetchReplacesOneInProgress(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, path := range []string{"/a1", "/a2", "/a3"} {
		f.Put(path, path)
	}
	defer f.Block("/a2")()
	g.Want(later(f.Assignment("ds", "r1", "a", "/a1"), f.Assignment("ds", "r2", "a", "/a2")))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	prefetchPhase(g, "r2", prefetching)
	g.Want(later(f.Assignment("ds", "r1", "a", "/a1"), f.Assignment("ds", "r3", "a", "/a3")))
	prefetchPhase(g, "r3", prefetched)
	p.wait("the newest", func(s status.State) bool {
		return s.DataSets[0].Prefetch != nil && s.DataSets[0].Prefetch.Revision == "r3"
	})
	p.wantNeeded(2)
}

func TestPrefetchResumesAfterARestart(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, path := range []string{"/a1", "/a2", "/b2"} {
		f.Put(path, path)
	}
	release := f.Block("/b2")
	g.Want(later(f.Assignment("ds", "r1", "a", "/a1"), f.Assignment("ds", "r2", "a", "/a2", "b", "/b2")))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	p.wantNeeded(2)
	gets := f.Gets("/a2") // more than one where the present came in between
	p.stop()
	g.Forget()
	release()
	p.start()
	prefetchPhase(g, "r2", prefetched)
	if n := f.Gets("/a2"); n != gets {
		t.Errorf("what was there was downloaded again, %d times", n-gets)
	}
}

func TestDeliveryReusesTheUnfinishedPrefetchOfItsRevision(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, path := range []string{"/a1", "/a2", "/b2"} {
		f.Put(path, path)
	}
	release := f.Block("/b2")
	r2 := f.Assignment("ds", "r2", "a", "/a2", "b", "/b2")
	g.Want(later(f.Assignment("ds", "r1", "a", "/a1"), r2))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	p.wantNeeded(2)
	gets := f.Gets("/a2") // more than one where the present came in between
	g.Want(r2)
	g.Await("the pass began", func(r *gatewayv1alpha1.ReportRequest) bool { return r.GetRevision() == "r2" })
	release()
	g.Success("ds-pod", "r2")
	p.wantFile("b", "/b2")
	if n := f.Gets("/a2"); n != gets {
		t.Errorf("what was there was downloaded again, %d times", n-gets)
	}
}

func TestPrefetchOfStoredDataNeedsNoSource(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a", "a")
	g.Want(f.Assignment("ds", "r1", "a", "/a"))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	f.Server.Close()
	moved := f.Assignment("ds", "r2", "a", "/a")
	moved.Items[0].LocalPath = "elsewhere"
	g.Want(later(f.Assignment("ds", "r1", "a", "/a"), moved))
	prefetchPhase(g, "r2", prefetched)
	g.Want(moved)
	g.Success("ds-pod", "r2")
	p.wantFile("elsewhere", "a")
}

func TestDeliveryEvictsPrefetchedDataForSpace(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for path, n := range map[string]int{"/a1": 4, "/a2": 10, "/other": 8} {
		f.Put(path, strings.Repeat("x", n))
	}
	first := later(f.Assignment("ds", "r1", "a", "/a1"), f.Assignment("ds", "r2", "a", "/a2"))
	p := newPod(t, g)
	p.stop()
	p.quota = 20
	p.start()
	g.Want(first)
	g.Success("ds-pod", "r1")
	prefetchPhase(g, "r2", prefetched)
	g.Want(first, f.Assignment("other", "r1", "other", "/other"))
	g.Success("other-pod", "r1")
	g.Await("no room to prefetch", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetPrefetch().GetPhase() == prefetchFailed && r.GetPrefetch().GetReason() == "InsufficientSpace"
	})
	p.wantFile("a", "xxxx")
}
