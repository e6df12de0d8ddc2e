// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

// Token is the only one that the gateway takes.
const Token = "pod-token"

// signal wakes those that wait for a change.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) nextSignal() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) wakeWaiters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
	}
	s.ch = nil
}

// Gateway is a real connect server over TLS whose answers the test decides.
type Gateway struct {
	// Address is its host:port, and CA what its certificate is checked against.
	Address string
	CA      []byte

	t       testing.TB
	changed signal
	server  *httptest.Server

	mu      sync.Mutex
	desired *gatewayv1alpha1.WatchResponse
	reports []*gatewayv1alpha1.ReportRequest
	stores  []*gatewayv1alpha1.ReportStoreRequest
	calls   []string
	store   func(*gatewayv1alpha1.ReportStoreRequest) error
	hook    func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error)
}

// NewGateway starts one.
func NewGateway(t testing.TB) *Gateway {
	g := &Gateway{t: t, desired: &gatewayv1alpha1.WatchResponse{}}
	g.hook = func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		return &gatewayv1alpha1.RunHookResponse{}, nil
	}
	g.Up("127.0.0.1:0")
	g.Address = g.server.Listener.Addr().String()
	g.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw})
	t.Cleanup(g.Down)
	return g
}

// Up starts the server at an address, after Down at the former one.
func (g *Gateway) Up(address string) {
	g.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		g.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(gatewayv1alpha1connect.NewGatewayServiceHandler(g))
	g.server = httptest.NewUnstartedServer(mux)
	_ = g.server.Listener.Close()
	g.server.Listener = l
	g.server.EnableHTTP2 = true
	g.server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	g.server.StartTLS()
}

// Down cuts all connections and stops the server.
func (g *Gateway) Down() {
	if g.server != nil {
		g.server.CloseClientConnections()
		g.server.Close()
		g.server = nil
	}
}

func (g *Gateway) checkToken(h http.Header) error {
	if h.Get("Authorization") != "Bearer "+Token {
		return connect.NewError(connect.CodeUnauthenticated, fmt.Errorf("token %q", h.Get("Authorization")))
	}
	return nil
}

// Watch implements the service.
func (g *Gateway) Watch(ctx context.Context, req *connect.Request[gatewayv1alpha1.WatchRequest],
	s *connect.ServerStream[gatewayv1alpha1.WatchResponse]) error {
	if err := g.checkToken(req.Header()); err != nil {
		return err
	}
	for {
		next := g.changed.nextSignal()
		g.mu.Lock()
		m := proto.CloneOf(g.desired)
		g.mu.Unlock()
		if err := s.Send(m); err != nil {
			return err
		}
		for stale := true; stale; {
			select {
			case <-next:
				next = g.changed.nextSignal()
			case <-ctx.Done():
				return nil
			}
			g.mu.Lock()
			stale = proto.Equal(m, g.desired)
			g.mu.Unlock()
		}
	}
}

// Report implements the service.
func (g *Gateway) Report(_ context.Context,
	req *connect.Request[gatewayv1alpha1.ReportRequest]) (*connect.Response[gatewayv1alpha1.ReportResponse], error) {
	if err := g.checkToken(req.Header()); err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.reports = append(g.reports, req.Msg)
	g.mu.Unlock()
	g.changed.wakeWaiters()
	return connect.NewResponse(&gatewayv1alpha1.ReportResponse{}), nil
}

// RunHook implements the service.
func (g *Gateway) RunHook(_ context.Context,
	req *connect.Request[gatewayv1alpha1.RunHookRequest]) (*connect.Response[gatewayv1alpha1.RunHookResponse], error) {
	if err := g.checkToken(req.Header()); err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.calls = append(g.calls, fmt.Sprintf("%s %s %s", req.Msg.GetRevision(), req.Msg.GetPoint(), req.Msg.GetItemName()))
	answer := g.hook
	g.mu.Unlock()
	g.changed.wakeWaiters()
	resp, err := answer(req.Msg)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(resp), nil
}

// Want makes the assignments the desired state.
func (g *Gateway) Want(assignments ...*gatewayv1alpha1.Assignment) {
	g.WantMessage(&gatewayv1alpha1.WatchResponse{Assignments: assignments})
}

// WantMessage makes m the desired state.
func (g *Gateway) WantMessage(m *gatewayv1alpha1.WatchResponse) {
	g.mu.Lock()
	g.desired = m
	g.mu.Unlock()
	g.changed.wakeWaiters()
}

// Reports returns all reports since Forget.
func (g *Gateway) Reports() []*gatewayv1alpha1.ReportRequest {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*gatewayv1alpha1.ReportRequest(nil), g.reports...)
}

// OnHook says what hooks answer.
func (g *Gateway) OnHook(f func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hook = f
}

// HookCalls returns "<revision> <point> <item>" of each call since Forget.
func (g *Gateway) HookCalls() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.calls...)
}

// Forget drops reports and calls.
func (g *Gateway) Forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reports, g.stores, g.calls = nil, nil, nil
}

// Await waits for a report that the test is after.
func (g *Gateway) Await(what string, match func(*gatewayv1alpha1.ReportRequest) bool) *gatewayv1alpha1.ReportRequest {
	g.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		next := g.changed.nextSignal()
		g.mu.Lock()
		reports := g.reports
		g.mu.Unlock()
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

// Success waits until every item of a revision is delivered.
func (g *Gateway) Success(data, revision string) *gatewayv1alpha1.ReportRequest {
	g.t.Helper()
	return g.Await("success of "+revision, func(r *gatewayv1alpha1.ReportRequest) bool {
		for _, i := range r.GetItems() {
			if i.GetPhase() != gatewayv1alpha1.Phase_PHASE_SUCCESS {
				return false
			}
		}
		return r.GetData() == data && r.GetRevision() == revision && r.GetCurrentRevision() == revision && len(r.GetItems()) > 0
	})
}

// Failure waits until an item has failed for a reason.
func (g *Gateway) Failure(item, reason string) *gatewayv1alpha1.ReportRequest {
	g.t.Helper()
	return g.Await(item+" failed: "+reason, func(r *gatewayv1alpha1.ReportRequest) bool {
		for _, i := range r.GetItems() {
			if i.GetName() == item && i.GetPhase() == gatewayv1alpha1.Phase_PHASE_FAILED && i.GetReason() == reason {
				return true
			}
		}
		return false
	})
}
