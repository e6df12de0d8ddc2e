// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/agent/worker"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// panicking is an engine that panics for the items at a path.
type panicking struct {
	worker.Engine
	path string
}

func (e panicking) Deliver(ctx context.Context, r transfer.Request) (*transfer.Result, error) {
	if r.Path == e.path {
		panic("a fault")
	}
	return e.Engine.Deliver(ctx, r)
}

func TestAPanicIsAFailureOfItsItemOnly(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/good", "one")
	g.Want(f.Assignment("bad", "r1", "b", "/bad"), f.Assignment("good", "r1", "a", "/good"))
	p := &pod{t: t, root: t.TempDir(), uid: "uid", gateway: g, stop: func() {}, failed: make(chan string, 1)}
	p.engine = func(e worker.Engine) worker.Engine { return panicking{e, "/bad"} }
	p.begin()
	g.Success("good-pod", "r1")
	p.wantFile("a", "one")
	p.wait("the failure", func(s status.State) bool {
		for _, d := range s.DataSets {
			if d.Name == "bad" && len(d.Items) == 1 && d.Items[0].Phase == "failed" {
				return true
			}
		}
		return false
	})
	p.retries(2)
}

func (p *pod) startsFile() string { return filepath.Join(string(p.dir()), "starts") }

// dieYoung leaves what a runtime leaves that was killed soon after each of so
// many starts.
func (p *pod) dieYoung(starts string) {
	p.t.Helper()
	p.stop()
	if err := os.WriteFile(p.startsFile(), []byte(starts), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// What is remembered may be what kills the runtime: then only the gateway knows
// whether it has been corrected.
func TestARuntimeThatKeepsDyingAsksTheGatewayBeforeItWorks(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v0", "zero")
	f.Put("/deadly", "bytes")
	g.Want(f.Assignment("ds", "r0", "a", "/v0"))
	p := newPod(t, g, "ds")
	g.Success("ds-pod", "r0")
	release := f.Block("/deadly")
	g.Want(f.Assignment("ds", "r1", "a", "/deadly"))
	g.Await("the new revision", func(r *gatewayv1alpha1.ReportRequest) bool { return r.GetRevision() == "r1" })
	p.dieYoung("3\n")
	release()
	g.Down()
	deadly := make(chan struct{}, 16)
	p.engine = func(e worker.Engine) worker.Engine { return watched{e, "/deadly", deadly} }
	p.start()
	if ready, missing := p.agent.Ready(); !ready {
		t.Errorf("it waits for %v", missing)
	}
	p.wantFile("a", "zero")
	g.Forget()
	g.Want(f.Assignment("ds", "r0", "a", "/v0"))
	g.Up(g.Address)
	g.Success("ds-pod", "r0")
	p.wantFile("a", "zero")
	if len(deadly) > 0 {
		t.Error("it worked on what it remembered")
	}
	if text, err := os.ReadFile(p.startsFile()); err != nil || string(text) != "4\n" {
		t.Errorf("counted %q, %v", text, err)
	}
}

// watched is an engine that says when a path is delivered.
type watched struct {
	worker.Engine
	path string
	seen chan struct{}
}

func (e watched) Deliver(ctx context.Context, r transfer.Request) (*transfer.Result, error) {
	if r.Path == e.path {
		e.seen <- struct{}{}
	}
	return e.Engine.Deliver(ctx, r)
}

func TestRuntimeDeliversAfterFewCrashesOrAnUnreadableCrashCount(t *testing.T) {
	for _, starts := range []string{"2\n", "", "\x00\x00", "-5"} {
		g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
		f.Put("/v1", "one")
		release := f.Block("/v1")
		g.Want(f.Assignment("ds", "r1", "a", "/v1"))
		p := newPod(t, g)
		g.Await("started", func(*gatewayv1alpha1.ReportRequest) bool { return true })
		p.dieYoung(starts)
		g.Down()
		release()
		p.start()
		p.wait("delivery without a gateway", func(s status.State) bool { return len(s.DataSets) == 1 && s.DataSets[0].Revision == "r1" })
		p.stop()
		if _, err := os.Stat(p.startsFile()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: a runtime that ended in order counts as dead: %v", starts, err)
		}
	}
}

// A snapshot whose bytes rotted, without a change of its time, is taken away by
// "store verify". The view links the rotten file, which then has one name.
func TestARepairedSnapshotReachesTheView(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "the right bytes")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	p := newPod(t, g)
	g.Success("ds-pod", "r1")
	p.stop()
	g.Forget()
	rot(t, filepath.Join(p.dir().View(), "a"))
	st, err := store.Open(store.Options{Root: p.root})
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := st.Snapshots()
	if err != nil || len(snapshots) != 1 {
		t.Fatalf("got %d snapshots, %v", len(snapshots), err)
	}
	if err := st.Verify(t.Context(), snapshots[0].ID, true); !errors.Is(err, snapshot.ErrDamaged) {
		t.Fatalf("got %v", err)
	}
	p.start()
	p.wait("the right bytes", func(status.State) bool { return p.file("a") == "the right bytes" })
	g.Success("ds-pod", "r1")
}

// rot changes a file's bytes and neither its size nor its time.
func rot(t *testing.T, path string) {
	t.Helper()
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(target, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("X"), 0)
		err = errors.Join(err, f.Close(), os.Chtimes(target, info.ModTime(), info.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The machine went down just after the delivery, and the disk had lost what it
// said it had. No application starts with that, even while the source is
// unavailable.
func TestWhatIsInDoubtAfterACrashHoldsTheStart(t *testing.T) {
	for name, harm := range map[string]func(*testing.T, string){"damaged": rot, "right": func(*testing.T, string) {}} {
		t.Run(name, func(t *testing.T) {
			g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
			f.Put("/v1", "the right bytes")
			g.Want(f.Assignment("ds", "r1", "a", "/v1"))
			p := newPod(t, g, "ds")
			g.Success("ds-pod", "r1")
			p.stop()
			harm(t, filepath.Join(p.dir().View(), "a"))
			goDown(t, p.root)
			g.Down()
			g.Forget()
			release := f.Block("/v1")
			p.start()
			if name == "damaged" {
				p.wait("another delivery", func(s status.State) bool {
					return len(s.DataSets) == 1 && len(s.DataSets[0].Items) == 1 && s.DataSets[0].Items[0].Phase == "downloading"
				})
				if ready, _ := p.agent.Ready(); ready {
					t.Error("the application starts with damaged data")
				}
			}
			release()
			p.wait("readiness", func(status.State) bool {
				ready, _ := p.agent.Ready()
				return ready
			})
			p.wantFile("a", "the right bytes")
		})
	}
}

// goDown makes the store believe that the machine went down under it.
func goDown(t *testing.T, root string) {
	t.Helper()
	boot := filepath.Join(root, "boot")
	info, err := os.Stat(boot)
	if err == nil {
		err = errors.Join(os.WriteFile(boot, []byte("another boot\n"), 0o644), os.Chtimes(boot, info.ModTime(), info.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
}
