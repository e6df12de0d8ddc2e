// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr/funcr"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/agent"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

const token = "pod-token"

// signal wakes those that wait for a change.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
	}
	s.ch = nil
}

// gateway is a real connect server over TLS whose answers the test decides.
type gateway struct {
	t       testing.TB
	changed signal
	server  *httptest.Server
	address string
	ca      []byte

	mu      sync.Mutex
	desired *gatewayv1alpha1.WatchResponse
	reports []*gatewayv1alpha1.ReportRequest
	calls   []string
	hook    func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error)
}

func newGateway(t testing.TB) *gateway {
	g := &gateway{t: t, desired: &gatewayv1alpha1.WatchResponse{}}
	g.hook = func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
		return &gatewayv1alpha1.RunHookResponse{}, nil
	}
	g.up("127.0.0.1:0")
	g.address = g.server.Listener.Addr().String()
	g.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw})
	t.Cleanup(g.down)
	return g
}

func (g *gateway) up(address string) {
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

func (g *gateway) down() {
	if g.server != nil {
		g.server.CloseClientConnections()
		g.server.Close()
		g.server = nil
	}
}

func (g *gateway) authenticate(h http.Header) error {
	if h.Get("Authorization") != "Bearer "+token {
		return connect.NewError(connect.CodeUnauthenticated, fmt.Errorf("token %q", h.Get("Authorization")))
	}
	return nil
}

// Watch implements the service.
func (g *gateway) Watch(ctx context.Context, req *connect.Request[gatewayv1alpha1.WatchRequest], s *connect.ServerStream[gatewayv1alpha1.WatchResponse]) error {
	if err := g.authenticate(req.Header()); err != nil {
		return err
	}
	for {
		next := g.changed.wait()
		g.mu.Lock()
		m := proto.CloneOf(g.desired)
		g.mu.Unlock()
		if err := s.Send(m); err != nil {
			return err
		}
		for stale := true; stale; {
			select {
			case <-next:
				next = g.changed.wait()
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
func (g *gateway) Report(_ context.Context, req *connect.Request[gatewayv1alpha1.ReportRequest]) (*connect.Response[gatewayv1alpha1.ReportResponse], error) {
	if err := g.authenticate(req.Header()); err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.reports = append(g.reports, req.Msg)
	g.mu.Unlock()
	g.changed.send()
	return connect.NewResponse(&gatewayv1alpha1.ReportResponse{}), nil
}

// RunHook implements the service.
func (g *gateway) RunHook(_ context.Context, req *connect.Request[gatewayv1alpha1.RunHookRequest]) (*connect.Response[gatewayv1alpha1.RunHookResponse], error) {
	if err := g.authenticate(req.Header()); err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.calls = append(g.calls, fmt.Sprintf("%s %s %s", req.Msg.GetRevision(), req.Msg.GetPoint(), req.Msg.GetItemName()))
	answer := g.hook
	g.mu.Unlock()
	g.changed.send()
	resp, err := answer(req.Msg)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(resp), nil
}

func (g *gateway) want(assignments ...*gatewayv1alpha1.Assignment) {
	g.mu.Lock()
	g.desired = &gatewayv1alpha1.WatchResponse{Assignments: assignments}
	g.mu.Unlock()
	g.changed.send()
}

func (g *gateway) onHook(f func(*gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hook = f
}

func (g *gateway) hookCalls() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.calls...)
}

func (g *gateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reports, g.calls = nil, nil
}

// report waits for a report that the test is after.
func (g *gateway) report(what string, match func(*gatewayv1alpha1.ReportRequest) bool) *gatewayv1alpha1.ReportRequest {
	g.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		next := g.changed.wait()
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

// success waits until every item of a revision is delivered.
func (g *gateway) success(data, revision string) *gatewayv1alpha1.ReportRequest {
	g.t.Helper()
	return g.report("success of "+revision, func(r *gatewayv1alpha1.ReportRequest) bool {
		for _, i := range r.GetItems() {
			if i.GetPhase() != gatewayv1alpha1.Phase_PHASE_SUCCESS {
				return false
			}
		}
		return r.GetData() == data && r.GetRevision() == revision && r.GetCurrentRevision() == revision && len(r.GetItems()) > 0
	})
}

// failure waits until an item has failed for a reason.
func (g *gateway) failure(item, reason string) *gatewayv1alpha1.ReportRequest {
	g.t.Helper()
	return g.report(item+" failed: "+reason, func(r *gatewayv1alpha1.ReportRequest) bool {
		for _, i := range r.GetItems() {
			if i.GetName() == item && i.GetPhase() == gatewayv1alpha1.Phase_PHASE_FAILED && i.GetReason() == reason {
				return true
			}
		}
		return false
	})
}

// files is an HTTP server with files by path.
type files struct {
	server  *httptest.Server
	mu      sync.Mutex
	content map[string]string
	got     map[string]int
	blocked map[string]chan struct{}
}

func newFiles(t testing.TB) *files {
	f := &files{content: map[string]string{}, got: map[string]int{}, blocked: map[string]chan struct{}{}}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	content, ok := f.content[r.URL.Path]
	if r.Method == http.MethodGet {
		f.got[r.URL.Path]++
	}
	block := f.blocked[r.URL.Path]
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-r.Context().Done():
			return
		}
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", content)))
	http.ServeContent(w, r, "", time.Time{}, newReader(content))
}

func (f *files) put(path, content string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content[path] = content
}

func (f *files) gets(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got[path]
}

func (f *files) block(path string) (release func()) {
	ch := make(chan struct{})
	f.mu.Lock()
	f.blocked[path] = ch
	f.mu.Unlock()
	return sync.OnceFunc(func() { close(ch) })
}

// assignment has one item per pair of name and path; the local path is the name.
func (f *files) assignment(dataset, revision string, items ...string) *gatewayv1alpha1.Assignment {
	a := &gatewayv1alpha1.Assignment{Data: dataset + "-pod", Dataset: dataset, Revision: revision,
		Sources: []*gatewayv1alpha1.Source{{Name: "http", Config: &gatewayv1alpha1.Source_Http{
			Http: &gatewayv1alpha1.HTTPSource{Url: f.server.URL}}}}}
	for i := 0; i < len(items); i += 2 {
		a.Items = append(a.Items, &gatewayv1alpha1.Item{Namespace: "default", Name: items[i], Version: items[i+1],
			RemotePath: items[i+1], LocalPath: items[i], Source: "http"})
	}
	return a
}

// pod is a runtime without its process.
type pod struct {
	t       testing.TB
	root    string
	gateway *gateway
	waitFor []string
	agent   *agent.Agent
	stop    func()
}

func newPod(t testing.TB, g *gateway, waitFor ...string) *pod {
	t.Helper()
	p := &pod{t: t, root: t.TempDir(), gateway: g, waitFor: waitFor, stop: func() {}}
	if err := os.WriteFile(p.tokenFile(), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *pod) tokenFile() string { return filepath.Join(p.root, "token") }
func (p *pod) dir() string       { return filepath.Join(p.root, agent.PodsDir, "uid") }

func (p *pod) start() {
	p.t.Helper()
	log := funcr.New(func(_, args string) { p.t.Log(args) }, funcr.Options{Verbosity: 1})
	st, err := store.Open(store.Options{Root: p.root})
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := uplink.New(uplink.Options{Address: p.gateway.address, CA: p.gateway.ca,
		CAFile: filepath.Join(p.root, "ca.pem"), TokenFile: p.tokenFile(), Log: log})
	if err != nil {
		p.t.Fatal(err)
	}
	p.agent, err = agent.New(agent.Options{Dir: p.dir(), WaitFor: p.waitFor, Gateway: client, Store: st,
		Engine: transfer.New(transfer.Options{Store: st, Attempts: 1}), Log: log,
		Hooks: hook.Policy{Attempts: 3, Backoff: time.Millisecond, PendingBackoff: time.Millisecond, PendingMax: 10 * time.Millisecond},
		Retry: func(string, int) time.Duration { return 20 * time.Millisecond }})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan error, 1)
	go func(a *agent.Agent) { ended <- a.Run(ctx) }(p.agent)
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("the agent ended: %v", err)
		}
		client.Close()
	})
}

func (p *pod) restart() {
	p.t.Helper()
	p.stop()
	p.start()
}

// wait waits until the agent's state is as the test wants it.
func (p *pod) wait(what string, match func(agent.State) bool) agent.State {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		next := p.agent.Changed()
		s := p.agent.State()
		if match(s) {
			return s
		}
		select {
		case <-next:
		case <-deadline:
			p.t.Fatalf("never came: %s; state is %+v", what, s)
		}
	}
}

func (p *pod) wantFile(path, want string) {
	p.t.Helper()
	got, err := os.ReadFile(filepath.Join(p.dir(), agent.ViewDir, path))
	if err != nil || string(got) != want {
		p.t.Errorf("the application reads %q, %v at %s, want %q", got, err, path, want)
	}
}

func (p *pod) wantNoFile(path string) {
	p.t.Helper()
	if _, err := os.Stat(filepath.Join(p.dir(), agent.ViewDir, path)); err == nil {
		p.t.Errorf("the application still finds %s", path)
	}
}
