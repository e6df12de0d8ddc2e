// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package door_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/gateway/bounds"
	"github.com/kuda-io/kuda/internal/gateway/door"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/share"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

const (
	report = gatewayv1alpha1connect.GatewayServiceReportProcedure
	watch  = gatewayv1alpha1connect.GatewayServiceWatchProcedure
	store  = gatewayv1alpha1connect.GatewayServiceReportStoreProcedure

	good, ownStore, notInjected = "good", "own-store", "not-injected"
)

// service notes what reaches it.
type service struct {
	gatewayv1alpha1connect.UnimplementedGatewayServiceHandler
	mu      sync.Mutex
	reports []*gatewayv1alpha1.ReportRequest
	ended   chan error
}

func (s *service) Report(ctx context.Context,
	r *connect.Request[gatewayv1alpha1.ReportRequest]) (*connect.Response[gatewayv1alpha1.ReportResponse], error) {
	if _, ok := identity.From(ctx); !ok {
		return nil, errors.New("the caller is not known")
	}
	if r.Msg.GetData() == "wait" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, r.Msg)
	return connect.NewResponse(&gatewayv1alpha1.ReportResponse{}), nil
}

func (s *service) ReportStore(context.Context,
	*connect.Request[gatewayv1alpha1.ReportStoreRequest]) (*connect.Response[gatewayv1alpha1.ReportStoreResponse], error) {
	return connect.NewResponse(&gatewayv1alpha1.ReportStoreResponse{}), nil
}

// Watch sends a message for each DataSet that is asked for.
func (s *service) Watch(ctx context.Context, r *connect.Request[gatewayv1alpha1.WatchRequest],
	stream *connect.ServerStream[gatewayv1alpha1.WatchResponse]) error {
	for range r.Msg.GetDatasets() {
		if err := stream.Send(&gatewayv1alpha1.WatchResponse{CaBundle: make([]byte, 1<<20)}); err != nil {
			s.ended <- err
			return err
		}
	}
	s.ended <- nil
	return nil
}

type bench struct {
	*service
	url      string
	client   *http.Client
	decoding *share.Pool
	calls    *share.Pool
	volume   volume

	refusedMu sync.Mutex
	refusals  map[string]int
}

// volume lets everything through until it is empty.
type volume struct {
	mu    sync.Mutex
	empty bool
	spent int
}

func (v *volume) Left(identity.Pod) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.empty
}

func (v *volume) Spend(_ identity.Pod, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.spent += n
}

// withoutPatience is for tests of the limits of time. Others must not run into them on a busy
// machine.
func withoutPatience(o *door.Options) {
	o.BodyTimeout, o.MessageTimeout = 300*time.Millisecond, 300*time.Millisecond
	for name, p := range o.Procedures {
		if p.Timeout > 0 {
			p.Timeout = time.Second
		}
		o.Procedures[name] = p
	}
}

func newBench(t *testing.T, change ...func(*door.Options)) *bench {
	t.Helper()
	b := &bench{
		service: &service{ended: make(chan error, 10)}, refusals: make(map[string]int),
		decoding: share.New(share.Limits{Total: 64 << 20, PerPod: 16 << 20, PerNamespace: 64 << 20, Waiters: 100}),
		calls:    share.New(share.Limits{Total: 8, PerPod: 4, PerNamespace: 8}),
	}
	messages := gatewayv1alpha1.File_kuda_gateway_v1alpha1_gateway_proto.Messages()
	always := func(types.UID) bool { return true }
	o := door.Options{
		Procedures: map[string]door.Procedure{
			watch:  {Message: messages.ByName("WatchRequest"), MaxBytes: 4 << 10, Stream: true, Allow: always, Calls: b.calls},
			report: {Message: messages.ByName("ReportRequest"), MaxBytes: 64 << 10, Timeout: 20 * time.Second, Allow: always, Calls: b.calls},
			store: {Message: messages.ByName("ReportStoreRequest"), MaxBytes: 64 << 10, Timeout: 20 * time.Second, Allow: always,
				Calls: b.calls, NodeStore: true},
		},
		Bounds: bounds.Table{
			"kuda.gateway.v1alpha1.WatchRequest.datasets":  {Count: 16},
			"kuda.gateway.v1alpha1.ReportRequest.items":    {Count: 16},
			"kuda.gateway.v1alpha1.ItemStatus.message":     {Length: 4 << 10},
			"kuda.gateway.v1alpha1.StoredSnapshot.marks":   {Count: 4},
			"kuda.gateway.v1alpha1.ReportRequest.revision": {Length: 64 << 10},
		},
		Authenticate: func(_ context.Context, token, address string) (identity.Pod, error) {
			if address != "127.0.0.1" {
				t.Errorf("the address is %q", address)
			}
			if token == "" || token == "bad" {
				return identity.Pod{}, identity.ErrRefused
			}
			return identity.Pod{Namespace: "shop", Name: token, UID: types.UID(token)}, nil
		},
		Admit: func(_ context.Context, p identity.Pod) (identity.Pod, error) {
			if p.Name == notInjected {
				return p, identity.ErrNotInjected
			}
			p.NodeStore = p.Name != ownStore
			return p, nil
		},
		Enter:    func(context.Context) (func(), bool) { return func() {}, true },
		Accepted: func(context.Context, identity.Pod) error { return nil },
		Volume:   &b.volume,
		Decoding: b.decoding, BodyTimeout: 20 * time.Second, MessageTimeout: 20 * time.Second,
		Refused: func(r door.Refusal) {
			b.refusedMu.Lock()
			defer b.refusedMu.Unlock()
			b.refusals[r.Reason]++
		},
	}
	for _, f := range change {
		f(&o)
	}
	_, handler := gatewayv1alpha1connect.NewGatewayServiceHandler(b.service)
	server := httptest.NewUnstartedServer(door.New(o, handler))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}
	server.StartTLS()
	t.Cleanup(server.Close)
	b.url, b.client = server.URL, server.Client()
	return b
}

func (b *bench) countRefused(reason string) int {
	b.refusedMu.Lock()
	defer b.refusedMu.Unlock()
	return b.refusals[reason]
}

// waitUntilNothingIsHeld waits for the handlers, which may return after their answers have
// arrived, and fails when bytes or calls stay counted.
func (b *bench) waitUntilNothingIsHeld(t *testing.T) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); b.decoding.Used() != 0 || b.calls.Used() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%d bytes and %d calls are still held", b.decoding.Used(), b.calls.Used())
		}
	}
}

// call is a request by hand.
type call struct {
	procedure, token, contentType string
	method                        string
	header                        http.Header
	body                          io.Reader
}

func (b *bench) doCall(t *testing.T, c call) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if c.method == "" {
		c.method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, c.method, b.url+c.procedure, c.body)
	if err != nil {
		t.Fatal(err)
	}
	for key, values := range c.header {
		r.Header[key] = values
	}
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := b.client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", c.procedure, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: reading the answer: %v", c.procedure, err)
	}
	if grpc := response.Header.Get("Grpc-Status") + response.Trailer.Get("Grpc-Status"); grpc != "" {
		text = append(text, "grpc-status "+grpc...)
	}
	return response.StatusCode, string(text)
}

func gzipBytes(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

func envelopeBytes(flags byte, data []byte) []byte {
	n := len(data)
	return append([]byte{flags, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, data...)
}

func gzipHeader(header string) http.Header { return http.Header{header: {"gzip"}} }

// unreadable fails the test when it is read, and never ends.
type unreadable struct{ read func() }

func (u unreadable) Read(p []byte) (int, error) {
	u.read()
	return len(p), nil
}
