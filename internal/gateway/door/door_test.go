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
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
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

func (s *service) Report(ctx context.Context, r *connect.Request[gatewayv1alpha1.ReportRequest]) (*connect.Response[gatewayv1alpha1.ReportResponse], error) {
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

func (s *service) ReportStore(context.Context, *connect.Request[gatewayv1alpha1.ReportStoreRequest]) (*connect.Response[gatewayv1alpha1.ReportStoreResponse], error) {
	return connect.NewResponse(&gatewayv1alpha1.ReportStoreResponse{}), nil
}

// Watch sends a message for each DataSet that is asked for.
func (s *service) Watch(ctx context.Context, r *connect.Request[gatewayv1alpha1.WatchRequest], stream *connect.ServerStream[gatewayv1alpha1.WatchResponse]) error {
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

	refusedMu sync.Mutex
	refusals  map[string]int
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
			report: {Message: messages.ByName("ReportRequest"), MaxBytes: 64 << 10, Timeout: time.Second, Allow: always, Calls: b.calls},
			store:  {Message: messages.ByName("ReportStoreRequest"), MaxBytes: 64 << 10, Timeout: time.Second, Allow: always, Calls: b.calls, NodeStore: true},
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
		Decoding: b.decoding, BodyTimeout: 300 * time.Millisecond, MessageTimeout: 300 * time.Millisecond,
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

func (b *bench) refused(reason string) int {
	b.refusedMu.Lock()
	defer b.refusedMu.Unlock()
	return b.refusals[reason]
}

// call is a request by hand.
type call struct {
	procedure, token, contentType string
	method                        string
	header                        http.Header
	body                          io.Reader
}

func (b *bench) do(t *testing.T, c call) (status int, body string) {
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

func packed(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

func enveloped(flags byte, data []byte) []byte {
	n := len(data)
	return append([]byte{flags, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, data...)
}

func gzipped(header string) http.Header { return http.Header{header: {"gzip"}} }

// unreadable fails the test when it is read, and never ends.
type unreadable struct{ read func() }

func (u unreadable) Read(p []byte) (int, error) {
	u.read()
	return len(p), nil
}

func TestRuntimesOfEveryKindGetThrough(t *testing.T) {
	b := newBench(t)
	long := &gatewayv1alpha1.ReportRequest{Data: "d"}
	for range 16 {
		long.Items = append(long.Items, &gatewayv1alpha1.ItemStatus{Name: "n", Message: strings.Repeat("m", 3000)})
	}
	bearer := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			r.Header().Set("Authorization", "Bearer "+good)
			return next(ctx, r)
		}
	}))
	for name, options := range map[string][]connect.ClientOption{
		"v0.1.0":               {connect.WithSendGzip(), connect.WithCompressMinBytes(1 << 10)},
		"connect":              nil,
		"gRPC":                 {connect.WithGRPC()},
		"gRPC that packs all":  {connect.WithGRPC(), connect.WithSendGzip()},
		"connect, packing all": {connect.WithSendGzip()},
	} {
		client := gatewayv1alpha1connect.NewGatewayServiceClient(b.client, b.url, append(options, bearer)...)
		for _, r := range []*gatewayv1alpha1.ReportRequest{long, {Data: "short"}, {}} {
			if _, err := client.Report(t.Context(), connect.NewRequest(r)); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := b.reports[len(b.reports)-1]; !proto.Equal(got, r) {
				t.Errorf("%s: the message changed on its way", name)
			}
		}
		request := connect.NewRequest(&gatewayv1alpha1.WatchRequest{Datasets: []string{"a", "b"}})
		request.Header().Set("Authorization", "Bearer "+good)
		stream, err := client.Watch(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for stream.Receive() {
			n++
		}
		if err := stream.Err(); err != nil || n != 2 {
			t.Errorf("%s: %d messages, %v", name, n, err)
		}
		_ = stream.Close()
	}
	if b.decoding.Used() != 0 || b.calls.Used() != 0 {
		t.Errorf("%d bytes and %d calls are still held", b.decoding.Used(), b.calls.Used())
	}
}

func TestTheBodyOfARefusedCallIsNotRead(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		call   call
		status int
		says   string
	}{
		"no token":               {call{procedure: report, contentType: "application/proto"}, 401, "unauthenticated"},
		"a bad token":            {call{procedure: report, token: "bad", contentType: "application/proto"}, 401, "unauthenticated"},
		"no token, gRPC":         {call{procedure: report, contentType: "application/grpc"}, 200, "grpc-status 16"},
		"no token, a stream":     {call{procedure: watch, contentType: "application/connect+proto"}, 200, "unauthenticated"},
		"not injected":           {call{procedure: report, token: notInjected, contentType: "application/proto"}, 403, "permission_denied"},
		"not injected, a stream": {call{procedure: watch, token: notInjected, contentType: "application/connect+proto"}, 200, "permission_denied"},
		"a store of its own":     {call{procedure: store, token: ownStore, contentType: "application/proto"}, 403, "permission_denied"},
		"an unknown procedure":   {call{procedure: "/kuda.gateway.v1alpha1.GatewayService/Reports", token: good, contentType: "application/proto"}, 404, ""},
		"another path":           {call{procedure: report + "/", token: good, contentType: "application/proto"}, 404, ""},
		"JSON":                   {call{procedure: report, token: good, contentType: "application/json"}, 415, ""},
		"gRPC-Web":               {call{procedure: report, token: good, contentType: "application/grpc-web+proto"}, 415, ""},
		"a stream's framing":     {call{procedure: report, token: good, contentType: "application/connect+proto"}, 415, ""},
		"no content type":        {call{procedure: report, token: good}, 415, ""},
		"PUT":                    {call{procedure: report, token: good, method: http.MethodPut, contentType: "application/proto"}, 405, ""},
		"unknown packing":        {call{procedure: report, token: good, contentType: "application/proto", header: http.Header{"Content-Encoding": {"br"}}}, 400, "invalid_argument"},
		"packed twice":           {call{procedure: report, token: good, contentType: "application/proto", header: http.Header{"Content-Encoding": {"gzip", "gzip"}}}, 400, "invalid_argument"},
	} {
		var mu sync.Mutex
		read := 0
		c.call.body = io.LimitReader(unreadable{func() { mu.Lock(); defer mu.Unlock(); read++ }}, 64<<20)
		status, body := b.do(t, c.call)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s, want %d %q", name, status, body, c.status, c.says)
		}
		mu.Lock()
		// What fits into the window of the stream is sent before the answer comes.
		if read*(16<<10) > 1<<20 {
			t.Errorf("%s: %d reads of the body", name, read)
		}
		mu.Unlock()
	}
	status, _ := b.do(t, call{procedure: report + "?connect=v1&encoding=proto&message=", method: http.MethodGet, token: good})
	if status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	if len(b.reports) != 0 {
		t.Errorf("%d calls reached the service", len(b.reports))
	}
}

func TestABodyThatIsNotWhatItSaysIsRefused(t *testing.T) {
	b := newBench(t)
	bomb := bytes.Repeat([]byte{0x22, 0}, 20_000)
	small, err := proto.Marshal(&gatewayv1alpha1.ReportRequest{Data: "d", Revision: "r"})
	if err != nil {
		t.Fatal(err)
	}
	const connectKind, grpcKind = "application/proto", "application/grpc+proto"
	for name, c := range map[string]struct {
		contentType string
		header      http.Header
		body        []byte
		says        string
	}{
		"elements":                      {connectKind, nil, bomb, "occurs more than 16 times"},
		"packed elements":               {connectKind, gzipped("Content-Encoding"), packed(bomb), "occurs more than 16 times"},
		"gRPC, packed elements":         {grpcKind, gzipped("Grpc-Encoding"), enveloped(1, packed(bomb)), "grpc-status 3"},
		"gRPC, elements":                {grpcKind, nil, enveloped(0, bomb), "grpc-status 3"},
		"too long":                      {connectKind, nil, make([]byte, 65<<10), "at most 65536 bytes"},
		"too long when unpacked":        {connectKind, gzipped("Content-Encoding"), packed(make([]byte, 64<<20)), "at most 65536 bytes"},
		"gRPC, too long when unpacked":  {grpcKind, gzipped("Grpc-Encoding"), enveloped(1, packed(make([]byte, 64<<20))), "grpc-status 3"},
		"packed twice":                  {connectKind, gzipped("Content-Encoding"), packed(packed(small)), "malformed"},
		"not packed although it says":   {connectKind, gzipped("Content-Encoding"), small, "invalid_argument"},
		"packed although it says not":   {connectKind, nil, packed(small), "malformed"},
		"cut":                           {connectKind, gzipped("Content-Encoding"), packed(bytes.Repeat(small, 100))[:20], "invalid_argument"},
		"another protocol's packing":    {connectKind, gzipped("Connect-Content-Encoding"), packed(small), "malformed"},
		"an envelope that promises 4 G": {grpcKind, nil, []byte{0, 255, 255, 255, 255, 1}, "grpc-status 3"},
		"an envelope that is cut":       {grpcKind, nil, enveloped(0, small)[:8], "grpc-status 3"},
		"two envelopes":                 {grpcKind, nil, append(enveloped(0, small), enveloped(0, small)...), "grpc-status 3"},
		"an envelope with flags":        {grpcKind, nil, enveloped(2, small), "grpc-status 3"},
		"packed without a name":         {grpcKind, nil, enveloped(1, packed(small)), "grpc-status 3"},
		"no envelope":                   {grpcKind, nil, nil, "grpc-status 3"},
	} {
		_, body := b.do(t, call{procedure: report, token: good, contentType: c.contentType, header: c.header, body: bytes.NewReader(c.body)})
		if !strings.Contains(body, c.says) {
			t.Errorf("%s: %s, want %q", name, body, c.says)
		}
	}
	if len(b.reports) != 0 {
		t.Errorf("%d calls reached the service", len(b.reports))
	}
	if b.decoding.Used() != 0 || b.calls.Used() != 0 {
		t.Errorf("%d bytes and %d calls are still held", b.decoding.Used(), b.calls.Used())
	}
}

func TestABodyThatDoesNotComeIsGivenUp(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]call{
		"connect":  {procedure: report, token: good, contentType: "application/proto"},
		"gRPC":     {procedure: report, token: good, contentType: "application/grpc"},
		"a stream": {procedure: watch, token: good, contentType: "application/connect+proto"},
	} {
		body, end := io.Pipe()
		go func() { _, _ = end.Write([]byte{0}) }()
		c.body = body
		if _, text := b.do(t, c); !strings.Contains(text, "unavailable") && !strings.Contains(text, "grpc-status 14") {
			t.Errorf("%s: %s", name, text)
		}
		_ = end.Close()
	}
	if b.refused("slow_body") != 3 || b.decoding.Used() != 0 || b.calls.Used() != 0 {
		t.Errorf("%d refusals; %d bytes and %d calls are still held", b.refused("slow_body"), b.decoding.Used(), b.calls.Used())
	}
}

func TestAStreamThatIsNotReadEnds(t *testing.T) {
	b := newBench(t)
	request, err := proto.Marshal(&gatewayv1alpha1.WatchRequest{Datasets: []string{"a", "b", "c", "d", "e", "f", "g", "h"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+watch, bytes.NewReader(enveloped(0, request)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/connect+proto")
	r.Header.Set("Authorization", "Bearer "+good)
	response, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	select {
	case err := <-b.ended:
		if err == nil {
			t.Error("eight megabytes went to a caller that does not read")
		}
	case <-time.After(20 * time.Second):
		t.Error("a stream that is not read is kept")
	}
}

func TestACallThatDoesNotEndIsEnded(t *testing.T) {
	b := newBench(t)
	wait, err := proto.Marshal(&gatewayv1alpha1.ReportRequest{Data: "wait"})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan int, 8)
	for range 6 {
		go func() {
			status, _ := b.do(t, call{procedure: report, token: good, contentType: "application/proto", body: bytes.NewReader(wait)})
			answers <- status
		}()
	}
	counts := map[int]int{}
	for range 6 {
		counts[<-answers]++
	}
	if counts[http.StatusTooManyRequests] != 2 || counts[http.StatusGatewayTimeout] != 4 {
		t.Errorf("answers = %v, want four that ran out of time and two beyond the pod's share", counts)
	}
	if b.calls.Used() != 0 {
		t.Errorf("%d calls are still held", b.calls.Used())
	}
}
