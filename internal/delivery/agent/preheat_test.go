// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func preheat(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.Assignment {
	a.Preheat = true
	return a
}

// preheated are the versions that are kept for the DataSet.
func (p *pod) preheated(dataset string) string {
	p.t.Helper()
	preheats, err := podstate.NewPods(p.root).Preheats()
	if err != nil {
		p.t.Fatal(err)
	}
	st := p.open(store.Options{})
	snapshots, err := st.Snapshots()
	if err != nil {
		p.t.Fatal(err)
	}
	known := map[snapshot.ID]string{}
	for _, s := range snapshots {
		known[s.ID] = s.Key.Version
	}
	var versions []string
	for id, names := range preheats {
		for _, name := range names {
			if name == dataset {
				versions = append(versions, known[id])
			}
		}
	}
	return sorted(versions)
}

// open opens the pod's store as another process does.
func (p *pod) open(o store.Options) *store.Store {
	p.t.Helper()
	pods := podstate.NewPods(p.root)
	o.Root, o.Needed, o.Wanted = p.root, pods.Needed, pods.Wanted
	st, err := store.Open(o)
	if err != nil {
		p.t.Fatal(err)
	}
	return st
}

func (p *pod) preheatFile(dataset string) string {
	return filepath.Join(p.root, podstate.PreheatDir, dataset+".json")
}

func TestPreheatedDataIsEvictedOnlyForADelivery(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for path, n := range map[string]int{"/warm": 12, "/a1": 4, "/a2": 10, "/other": 10} {
		f.Put(path, strings.Repeat("x", n))
	}
	p := newPod(t, g)
	p.stop()
	p.quota = 20
	p.start()
	g.Want(preheat(f.Assignment("ds", "r1", "w", "/warm")))
	g.Success("ds-pod", "r1")
	if got := p.preheated("ds"); got != "/warm" {
		t.Fatalf("kept: %q", got)
	}
	p.stop()
	st := p.open(store.Options{Quota: 20, High: 10, Low: 5})
	if err := st.Collect(); err != nil {
		t.Error(err)
	}
	if pruned, err := st.Prune(0, false); err != nil || len(pruned) > 0 {
		t.Errorf("evicted %v, %v", pruned, err)
	}
	// Not for what a pod may be asked for later, nor for what is preheated too.
	next := agenttest.NewGateway(t)
	app := p.beside(next, "app")
	first := later(f.Assignment("app", "r1", "a", "/a1"), f.Assignment("app", "r2", "a", "/a2"))
	next.Want(first, preheat(f.Assignment("cold", "r1", "c", "/other")))
	next.Success("app-pod", "r1")
	next.Await("no room to prefetch", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetPrefetch().GetPhase() == prefetchFailed && r.GetPrefetch().GetReason() == "InsufficientSpace"
	})
	next.Failure("c", "InsufficientSpace")
	if got := p.preheated("ds"); got != "/warm" {
		t.Errorf("kept: %q", got)
	}
	// But for what it is to have now.
	next.Want(first, f.Assignment("other", "r1", "o", "/other"))
	next.Success("other-pod", "r1")
	app.wantFile("o", strings.Repeat("x", 10))
	if got := p.preheated("ds"); got != "" {
		t.Errorf("kept: %q", got)
	}
}

func TestPreheatKeepsThePreviousRevision(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, path := range []string{"/a1", "/a2", "/a3", "/same"} {
		f.Put(path, path)
	}
	p := newPod(t, g)
	for i, want := range []string{"/a1 /same", "/a1 /a2 /same", "/a2 /a3 /same"} {
		n := string(rune('1' + i))
		g.Want(preheat(f.Assignment("ds", "r"+n, "a", "/a"+n, "b", "/same")))
		g.Success("ds-pod", "r"+n)
		if got := p.preheated("ds"); got != want {
			t.Errorf("revision %s: kept %q, want %q", n, got, want)
		}
	}
	g.Forget()
	g.Want(preheat(f.Assignment("ds", "r2", "a", "/a2", "b", "/same")))
	g.Success("ds-pod", "r2")
	if got := p.preheated("ds"); got != "/a2 /a3 /same" {
		t.Errorf("going back: kept %q", got)
	}
	// Whoever brought it may have died before it wrote that down.
	p.stop()
	if err := os.Remove(p.preheatFile("ds")); err != nil {
		t.Fatal(err)
	}
	g.Forget()
	p.start()
	g.Success("ds-pod", "r2")
	if got := p.preheated("ds"); got != "/a2 /same" {
		t.Errorf("after a restart: kept %q", got)
	}
}

func TestPreheatRecordsThatTheGatewayNoLongerListsAreRemoved(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a", "a")
	p := newPod(t, g)
	keep := func(names ...string) {
		for _, name := range names {
			if err := os.MkdirAll(filepath.Dir(p.preheatFile(name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p.preheatFile(name), []byte(`{"revisions":{}}`), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() string {
		names, err := filepath.Glob(p.preheatFile("*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range names {
			names[i] = strings.TrimSuffix(filepath.Base(names[i]), ".json")
		}
		return sorted(names)
	}
	// say says something else each time, so that it is known to have arrived.
	revision := "r"
	say := func(preheats *gatewayv1alpha1.Preheats) {
		revision += "+"
		g.WantMessage(&gatewayv1alpha1.WatchResponse{Preheats: preheats,
			Assignments: []*gatewayv1alpha1.Assignment{f.Assignment("ds", revision, "a", "/a")}})
		g.Success("ds-pod", revision)
	}
	keep("x", "y", "z")
	say(nil)
	if got := left(); got != "x y z" {
		t.Errorf("an older gateway: left %q", got)
	}
	say(&gatewayv1alpha1.Preheats{Datasets: []string{"x", "z"}})
	if got := left(); got != "x z" {
		t.Errorf("left %q", got)
	}
	say(&gatewayv1alpha1.Preheats{})
	if got := left(); got != "" {
		t.Errorf("left %q", got)
	}
	// What is remembered may be out of date.
	p.stop()
	address := g.Address
	g.Down()
	keep("new")
	p.start()
	p.wait("what is remembered", func(s state) bool { return s.DataSets[0].DesiredRevision == revision })
	if got := left(); got != "new" {
		t.Errorf("before the gateway has spoken: left %q", got)
	}
	g.Up(address)
	say(&gatewayv1alpha1.Preheats{Datasets: []string{"new"}})
	if got := left(); got != "new" {
		t.Errorf("left %q", got)
	}
}
