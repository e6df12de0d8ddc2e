// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"context"
	"time"

	"connectrpc.com/connect"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// ReportStore implements the service.
func (g *Gateway) ReportStore(_ context.Context,
	req *connect.Request[gatewayv1alpha1.ReportStoreRequest]) (*connect.Response[gatewayv1alpha1.ReportStoreResponse], error) {
	if err := g.checkToken(req.Header()); err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.stores = append(g.stores, req.Msg)
	answer := g.store
	g.mu.Unlock()
	g.changed.wakeWaiters()
	if answer != nil {
		if err := answer(req.Msg); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&gatewayv1alpha1.ReportStoreResponse{}), nil
}

// Stores returns all reports of stores since Forget.
func (g *Gateway) Stores() []*gatewayv1alpha1.ReportStoreRequest {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*gatewayv1alpha1.ReportStoreRequest(nil), g.stores...)
}

// OnStore says what reports of stores are answered; nil takes them.
func (g *Gateway) OnStore(f func(*gatewayv1alpha1.ReportStoreRequest) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.store = f
}

// AwaitStore waits for a report of a store that the test is after.
func (g *Gateway) AwaitStore(what string, match func(*gatewayv1alpha1.ReportStoreRequest) bool) *gatewayv1alpha1.ReportStoreRequest {
	g.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		next := g.changed.nextSignal()
		reports := g.Stores()
		for _, r := range reports {
			if match(r) {
				return r
			}
		}
		select {
		case <-next:
		case <-deadline:
			for _, r := range reports {
				g.t.Logf("report: %v", r)
			}
			g.t.Fatalf("never heard: %s", what)
		}
	}
}
