// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/worker"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// filling is an engine that notes in which order caches are filled and items delivered.
type filling struct {
	worker.Engine
	mu   sync.Mutex
	did  []string
	fail error
}

func (e *filling) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.did = append(e.did, what)
}

func (e *filling) done() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.did)
}

func (e *filling) FillCache(_ context.Context, r transfer.Request, progress func(held, total int64)) (*transfer.Fill, error) {
	e.note("fill " + r.Path)
	progress(1, 4)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return nil, e.fail
	}
	return &transfer.Fill{Held: 4, Total: 4}, nil
}

func (e *filling) Deliver(ctx context.Context, r transfer.Request) (*transfer.Result, error) {
	e.note("deliver " + r.Path)
	return e.Engine.Deliver(ctx, r)
}

// fillingPod is a pod whose engine notes what it does.
func fillingPod(t *testing.T, g *agenttest.Gateway) (*pod, *filling) {
	e := &filling{}
	p := makePod(t, g)
	p.engine = func(own worker.Engine) worker.Engine {
		e.Engine = own
		return e
	}
	p.begin()
	return p, e
}

// cachedSources puts a cache in front of the sources.
func cachedSources(sources []*gatewayv1alpha1.Source) {
	for _, s := range sources {
		s.GetHttp().Cache = &gatewayv1alpha1.SourceCache{HttpProxy: &gatewayv1alpha1.CachingProxy{Url: s.GetHttp().GetUrl()}}
	}
}

func TestACacheIsFilledBeforeTheItemIsDelivered(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a", "content")
	p, e := fillingPod(t, g)
	a := f.Assignment("ds", "r1", "a", "/a")
	a.FillCache = true
	cachedSources(a.Sources)
	g.Want(a)
	g.Await("filled and delivered", func(r *gatewayv1alpha1.ReportRequest) bool {
		item := r.GetItems()[0]
		return item.GetPhase() == gatewayv1alpha1.Phase_PHASE_SUCCESS && item.GetCacheFill().GetDone() && item.GetCacheFill().GetHeldBytes() == 4
	})
	if got := e.done(); !slices.Equal(got, []string{"fill /a", "deliver /a"}) {
		t.Errorf("it did %q", got)
	}
	p.wantFile("a", "content")
	// Another process looks again, also where the item is there.
	p.restart()
	g.Await("looked at again", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetItems()[0].GetCacheFill().GetDone() && len(e.done()) == 3
	})
	if got := e.done()[2]; got != "fill /a" {
		t.Errorf("then it did %q", got)
	}
}

func TestAnItemFailsWhoseCacheMustBeFilledAndCannot(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a", "content")
	p, e := fillingPod(t, g)
	e.mu.Lock()
	e.fail = &source.Error{Op: "filling", Class: source.ErrUnreachable, Err: errors.New("no worker")}
	e.mu.Unlock()
	a := f.Assignment("ds", "r1", "a", "/a")
	a.FillCache = true
	cachedSources(a.Sources)
	g.Want(a)
	g.Failure("a", "SourceUnreachable")
	p.wantNoFile("a")
	e.mu.Lock()
	e.fail = nil
	e.mu.Unlock()
	g.Success("ds-pod", "r1")
}

func TestACacheIsFilledBeforeARevisionIsPrefetched(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/a", "content")
	f.Put("/b", "more")
	_, e := fillingPod(t, g)
	a := later(f.Assignment("ds", "r1", "a", "/a"), f.Assignment("ds", "r2", "b", "/b"))
	a.Prefetch.FillCache = true
	cachedSources(a.Prefetch.Sources)
	g.Want(a)
	g.Await("prefetched", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetPrefetch().GetPhase() == gatewayv1alpha1.Phase_PHASE_SUCCESS
	})
	// What the pod is to have now comes first, and interrupts.
	ahead := slices.DeleteFunc(e.done(), func(what string) bool { return what == "deliver /a" })
	if len(ahead) < 2 || ahead[0] != "fill /b" || slices.Contains(ahead[1:], "fill /b") {
		t.Errorf("it did %q", ahead)
	}
}
