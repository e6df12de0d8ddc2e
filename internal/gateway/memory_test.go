// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The race detector multiplies memory; what is measured here says nothing then.

//go:build !race

package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/gateway/identity/identitytest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

// mayGrow is what all attacks of one test together may take, in bytes. One request
// of the kind took 110 to 275 MB before there was a door.
const mayGrow = 48 << 20

// bomb is a small body that is large when it is decoded.
type bomb struct {
	procedure, contentType, encoding string
	body                             []byte
}

func elementBombs() map[string]bomb {
	const (
		reports = gatewayv1alpha1connect.GatewayServiceReportProcedure
		stores  = gatewayv1alpha1connect.GatewayServiceReportStoreProcedure
		watches = gatewayv1alpha1connect.GatewayServiceWatchProcedure
		hooks   = gatewayv1alpha1connect.GatewayServiceRunHookProcedure
	)
	million := func(element ...byte) []byte { return bytes.Repeat(element, 1<<20) }
	return map[string]bomb{
		"items":               {reports, "application/proto", "Content-Encoding", gzipBytes(million(0x22, 0))},
		"snapshots":           {stores, "application/proto", "Content-Encoding", gzipBytes(million(0x3a, 0))},
		"names, as a stream":  {watches, "application/connect+proto", "Connect-Content-Encoding", frameBytes(1, gzipBytes(million(0x12, 0)))},
		"names, gRPC":         {watches, "application/grpc", "Grpc-Encoding", frameBytes(1, gzipBytes(million(0x12, 0)))},
		"items, gRPC":         {reports, "application/grpc+proto", "Grpc-Encoding", frameBytes(1, gzipBytes(million(0x22, 0)))},
		"items, not packed":   {reports, "application/proto", "", million(0x22, 0)[:700<<10]},
		"snapshots of 700 KB": {stores, "application/proto", "Content-Encoding", gzipBytes(million(0x3a, 0)[:700<<10])},
		"marks":               {stores, "application/proto", "Content-Encoding", gzipBytes(framedField(0x3a, million(0x12, 0)[:700<<10]))},
		"prefetch":            {reports, "application/proto", "Content-Encoding", gzipBytes(million(0x32, 0)[:700<<10])},
		"unknown fields":      {hooks, "application/proto", "Content-Encoding", gzipBytes(million(0xf8, 0x01, 0))},
		"groups":              {reports, "application/proto", "Content-Encoding", gzipBytes(million(0x7b))},
		"much of nothing":     {reports, "application/proto", "Content-Encoding", gzipBytes(make([]byte, 1<<28))},
		"packed twice":        {reports, "application/proto", "Content-Encoding", gzipBytes(gzipBytes(make([]byte, 1<<26)))},
		"JSON": {reports, "application/json", "Content-Encoding",
			gzipBytes([]byte(`{"items":[` + strings.Repeat("{},", 1<<20) + `{}]}`))},
		"gRPC-Web":             {reports, "application/grpc-web+proto", "Grpc-Encoding", frameBytes(1, gzipBytes(million(0x22, 0)))},
		"an unknown procedure": {"/kuda.gateway.v1alpha1.GatewayService/Nothing", "application/proto", "", make([]byte, 8<<20)},
	}
}

func TestElementBombsTakeNoMemory(t *testing.T) {
	p := startProcess(t)
	data := dataOf(t, p, "shop", 0)
	good := p.runtimeClient(t, tokenOf("shop", 0, identitytest.Good))
	report := func() {
		t.Helper()
		begun := time.Now()
		if _, err := good.Report(t.Context(), connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: data, Revision: "r1"})); err != nil {
			t.Fatalf("a good caller: %v", err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("a good caller waited %s", took)
		}
	}
	report()
	before := p.peakMemory(t)

	bombs := elementBombs()
	clients := map[string]*http.Client{
		"no token": p.httpClient(t, ""), "a bogus token": p.httpClient(t, tokenOf("shop", 1, "bogus")),
		"a pod's token": p.httpClient(t, tokenOf("hog", 0, identitytest.Good)),
		"a pod's without runtime": p.httpClient(t, identitytest.Token("shop", "plain", "plain", time.Now().Add(time.Hour),
			identitytest.Good, nil)),
	}
	var group sync.WaitGroup
	for name, b := range bombs {
		for who, client := range clients {
			for range 3 {
				group.Go(func() {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.address+b.procedure, bytes.NewReader(b.body))
					if err != nil {
						t.Error(err)
						return
					}
					r.Header.Set("Content-Type", b.contentType)
					if b.encoding != "" {
						r.Header.Set(b.encoding, "gzip")
					}
					response, err := client.Do(r)
					if err != nil {
						t.Errorf("%s with %s: %v", name, who, err)
						return
					}
					defer func() { _ = response.Body.Close() }()
					text, _ := io.ReadAll(response.Body)
					if response.StatusCode == http.StatusOK && response.Header.Get("Grpc-Status") == "" && response.Trailer.Get("Grpc-Status") == "" &&
						!strings.Contains(string(text), `"error"`) {
						t.Errorf("%s with %s was taken", name, who)
					}
				})
			}
		}
	}
	group.Wait()
	report()
	grown := p.peakMemory(t) - before
	t.Logf("%d requests took %d KB", len(bombs)*len(clients)*3, grown>>10)
	if grown > mayGrow {
		t.Errorf("the process grew by %d MB", grown>>20)
	}
}

func TestAFloodOfConnectionsLeavesPodsTheirs(t *testing.T) {
	p := startProcess(t)
	data := dataOf(t, p, "shop", 0)
	kept := p.runtimeClient(t, tokenOf("shop", 0, identitytest.Good))
	report := func(c gatewayv1alpha1connect.GatewayServiceClient, what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := c.Report(ctx, connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: data, Revision: "r1"})); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	report(kept, "before the flood")
	before := p.peakMemory(t)
	const flood = 3000
	var open []net.Conn
	t.Cleanup(func() {
		for _, c := range open {
			_ = c.Close()
		}
	})
	for n := range flood {
		c, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		switch n % 3 {
		case 1:
			// A preface of HTTP/2 without TLS, and half a record of TLS.
			_, _ = c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
		case 2:
			_, _ = c.Write([]byte{22, 3, 1, 255, 255, 1})
		}
		open = append(open, c)
	}
	for range 200 {
		c, err := tls.Dial("tcp", p.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err == nil {
			open = append(open, c)
		}
	}
	report(kept, "a connection that a pod has")
	report(p.runtimeClient(t, tokenOf("shop", 0, identitytest.Good)), "a new connection of a pod")
	grown := p.peakMemory(t) - before
	t.Logf("%d connections took %d KB", len(open), grown>>10)
	if grown > 2*mayGrow {
		t.Errorf("the process grew by %d MB", grown>>20)
	}
}

func TestResponsesThatAreNotReadHoldLittleMemory(t *testing.T) {
	p := startProcess(t)
	data := dataOf(t, p, "shop", 0)
	kept := p.runtimeClient(t, tokenOf("shop", 0, identitytest.Good))
	report := func(what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := kept.Report(ctx, connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: data, Revision: "r1"})); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	report("before")
	before := p.peakMemory(t)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	header, answered := strings.Repeat("h", 12<<10), make(chan struct{}, 10_000)
	for n := range 80 {
		// No byte of an answer fits into the window of such a connection.
		transport := p.newTransport()
		transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 1}
		t.Cleanup(transport.CloseIdleConnections)
		token := ""
		if n%2 == 0 {
			token = tokenOf("hog", n%12, "bogus")
		}
		client := &http.Client{Transport: bearer{token, transport}}
		for range 32 {
			group.Go(func() {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost,
					"https://"+p.address+gatewayv1alpha1connect.GatewayServiceReportProcedure, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Content-Type", "application/proto")
				r.Header.Set("X-Long", header)
				// The header of an answer comes, its body does not.
				response, err := client.Do(r)
				answered <- struct{}{}
				if err == nil {
					<-ctx.Done()
					_ = response.Body.Close()
				}
			})
		}
	}
	// Most of the connections are closed, because they have too many requests.
	for range 80 * 24 {
		<-answered
	}
	report("during")
	grown := p.peakMemory(t) - before
	t.Logf("2560 requests whose answers are not taken took %d KB", grown>>10)
	// A thousand requests are held at most, each with its header and buffers.
	if grown > 3*mayGrow {
		t.Errorf("the process grew by %d MB", grown>>20)
	}
}

func TestAConnectionOfAPodTakesLittle(t *testing.T) {
	p := startProcess(t)
	before := p.readStatus(t, "VmRSS:")
	const each = 4
	open := 0
	for namespace, count := range knownPods {
		for n := range count {
			for range each {
				c := p.runtimeClient(t, tokenOf(namespace, n, identitytest.Good))
				if _, err := c.RunHook(t.Context(),
					connect.NewRequest(&gatewayv1alpha1.RunHookRequest{Data: "x"})); connect.CodeOf(err) != connect.CodeNotFound {
					t.Fatal(err)
				}
				open++
			}
		}
	}
	grown := (p.readStatus(t, "VmRSS:") - before) / int64(open)
	t.Logf("each of %d connections takes %d KB", open, grown>>10)
	if most := int64(96 << 10); grown > most {
		t.Errorf("each takes %d bytes, at most %d are planned for", grown, most)
	}
}

// framedField is a field with a length.
func framedField(tag byte, value []byte) []byte {
	return append(binary.AppendUvarint([]byte{tag}, uint64(len(value))), value...)
}
