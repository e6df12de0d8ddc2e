// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package door_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

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
	b.waitUntilNothingIsHeld(t)
}

func TestTheBodyOfARefusedCallIsNotRead(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		call   call
		status int
		says   string
	}{
		"no token":           {call{procedure: report, contentType: "application/proto"}, 401, "unauthenticated"},
		"a bad token":        {call{procedure: report, token: "bad", contentType: "application/proto"}, 401, "unauthenticated"},
		"no token, gRPC":     {call{procedure: report, contentType: "application/grpc"}, 200, "grpc-status 16"},
		"no token, a stream": {call{procedure: watch, contentType: "application/connect+proto"}, 200, "unauthenticated"},
		"not injected":       {call{procedure: report, token: notInjected, contentType: "application/proto"}, 403, "permission_denied"},
		"not injected, a stream": {call{procedure: watch, token: notInjected, contentType: "application/connect+proto"}, 200,
			"permission_denied"},
		"a store of its own": {call{procedure: store, token: ownStore, contentType: "application/proto"}, 403, "permission_denied"},
		"an unknown procedure": {call{procedure: "/kuda.gateway.v1alpha1.GatewayService/Reports", token: good, contentType: "application/proto"},
			404, ""},
		"another path":       {call{procedure: report + "/", token: good, contentType: "application/proto"}, 404, ""},
		"JSON":               {call{procedure: report, token: good, contentType: "application/json"}, 415, ""},
		"gRPC-Web":           {call{procedure: report, token: good, contentType: "application/grpc-web+proto"}, 415, ""},
		"a stream's framing": {call{procedure: report, token: good, contentType: "application/connect+proto"}, 415, ""},
		"no content type":    {call{procedure: report, token: good}, 415, ""},
		"PUT":                {call{procedure: report, token: good, method: http.MethodPut, contentType: "application/proto"}, 405, ""},
		"unknown packing": {call{procedure: report, token: good, contentType: "application/proto",
			header: http.Header{"Content-Encoding": {"br"}}}, 400, "invalid_argument"},
		"packed twice": {call{procedure: report, token: good, contentType: "application/proto",
			header: http.Header{"Content-Encoding": {"gzip", "gzip"}}}, 400, "invalid_argument"},
	} {
		var mu sync.Mutex
		read := 0
		c.call.body = io.LimitReader(unreadable{func() { mu.Lock(); defer mu.Unlock(); read++ }}, 64<<20)
		status, body := b.doCall(t, c.call)
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
	status, _ := b.doCall(t, call{procedure: report + "?connect=v1&encoding=proto&message=", method: http.MethodGet, token: good})
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
		"elements":               {connectKind, nil, bomb, "occurs more than 16 times"},
		"packed elements":        {connectKind, gzipHeader("Content-Encoding"), gzipBytes(bomb), "occurs more than 16 times"},
		"gRPC, packed elements":  {grpcKind, gzipHeader("Grpc-Encoding"), envelopeBytes(1, gzipBytes(bomb)), "grpc-status 3"},
		"gRPC, elements":         {grpcKind, nil, envelopeBytes(0, bomb), "grpc-status 3"},
		"too long":               {connectKind, nil, make([]byte, 65<<10), "at most 65536 bytes"},
		"too long when unpacked": {connectKind, gzipHeader("Content-Encoding"), gzipBytes(make([]byte, 8<<20)), "at most 65536 bytes"},
		"gRPC, too long when unpacked": {grpcKind, gzipHeader("Grpc-Encoding"),
			envelopeBytes(1, gzipBytes(make([]byte, 8<<20))), "grpc-status 3"},
		"packed twice":                {connectKind, gzipHeader("Content-Encoding"), gzipBytes(gzipBytes(small)), "malformed"},
		"not packed although it says": {connectKind, gzipHeader("Content-Encoding"), small, "invalid_argument"},
		"packed although it says not": {connectKind, nil, gzipBytes(small), "malformed"},
		"cut": {connectKind, gzipHeader("Content-Encoding"), gzipBytes(bytes.Repeat(small, 100))[:20],
			"invalid_argument"},
		"another protocol's packing":    {connectKind, gzipHeader("Connect-Content-Encoding"), gzipBytes(small), "malformed"},
		"an envelope that promises 4 G": {grpcKind, nil, []byte{0, 255, 255, 255, 255, 1}, "grpc-status 3"},
		"an envelope that is cut":       {grpcKind, nil, envelopeBytes(0, small)[:8], "grpc-status 3"},
		"two envelopes":                 {grpcKind, nil, append(envelopeBytes(0, small), envelopeBytes(0, small)...), "grpc-status 3"},
		"an envelope with flags":        {grpcKind, nil, envelopeBytes(2, small), "grpc-status 3"},
		"packed without a name":         {grpcKind, nil, envelopeBytes(1, gzipBytes(small)), "grpc-status 3"},
		"no envelope":                   {grpcKind, nil, nil, "grpc-status 3"},
	} {
		_, body := b.doCall(t, call{procedure: report, token: good, contentType: c.contentType, header: c.header, body: bytes.NewReader(c.body)})
		if !strings.Contains(body, c.says) {
			t.Errorf("%s: %s, want %q", name, body, c.says)
		}
	}
	if len(b.reports) != 0 {
		t.Errorf("%d calls reached the service", len(b.reports))
	}
	b.waitUntilNothingIsHeld(t)
}

func TestAPodThatHasSentTooMuchIsSlowedDown(t *testing.T) {
	b := newBench(t)
	text := bytes.Repeat([]byte("m"), 60<<10)
	message, err := proto.Marshal(&gatewayv1alpha1.ReportRequest{Revision: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	send := func(body []byte) int {
		status, _ := b.doCall(t, call{procedure: report, token: good, contentType: "application/proto", header: gzipHeader("Content-Encoding"),
			body: bytes.NewReader(body)})
		return status
	}
	if status := send(gzipBytes(message)); status != http.StatusOK || b.volume.spent != len(message) {
		t.Errorf("%d; %d bytes were noted, want the %d of the unpacked message", status, b.volume.spent, len(message))
	}
	b.volume.spent = 0
	if status := send(gzipBytes(make([]byte, 1<<20))); status != http.StatusBadRequest || b.volume.spent != 64<<10 {
		t.Errorf("%d; %d bytes were noted, want the limit for what is no message", status, b.volume.spent)
	}
	b.volume.empty = true
	if status := send(gzipBytes(message)); status != http.StatusTooManyRequests {
		t.Errorf("%d, want to be told to slow down", status)
	}
}

func TestABodyThatDoesNotComeIsGivenUp(t *testing.T) {
	b := newBench(t, withoutPatience)
	for name, c := range map[string]call{
		"connect":  {procedure: report, token: good, contentType: "application/proto"},
		"gRPC":     {procedure: report, token: good, contentType: "application/grpc"},
		"a stream": {procedure: watch, token: good, contentType: "application/connect+proto"},
	} {
		body, end := io.Pipe()
		go func() { _, _ = end.Write([]byte{0}) }()
		c.body = body
		if _, text := b.doCall(t, c); !strings.Contains(text, "unavailable") && !strings.Contains(text, "grpc-status 14") {
			t.Errorf("%s: %s", name, text)
		}
		_ = end.Close()
	}
	if n := b.countRefused("slow_body"); n != 3 {
		t.Errorf("%d refusals", n)
	}
	b.waitUntilNothingIsHeld(t)
}

func TestAStreamThatIsNotReadEnds(t *testing.T) {
	b := newBench(t, withoutPatience)
	request, err := proto.Marshal(&gatewayv1alpha1.WatchRequest{Datasets: []string{"a", "b", "c", "d", "e", "f", "g", "h"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+watch, bytes.NewReader(envelopeBytes(0, request)))
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
	b := newBench(t, withoutPatience)
	wait, err := proto.Marshal(&gatewayv1alpha1.ReportRequest{Data: "wait"})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan int, 8)
	for range 6 {
		go func() {
			status, _ := b.doCall(t, call{procedure: report, token: good, contentType: "application/proto", body: bytes.NewReader(wait)})
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
	b.waitUntilNothingIsHeld(t)
}
