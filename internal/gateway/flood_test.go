// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
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

func TestAFloodOfConnectionsLeavesPodsTheirs(t *testing.T) {
	p := startProcess(t)
	data := dataOf(t, p, "shop", 0)
	kept := p.runtime(t, tokenOf("shop", 0, identitytest.Good))
	report := func(c gatewayv1alpha1connect.GatewayServiceClient, what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := c.Report(ctx, connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: data, Revision: "r1"})); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	report(kept, "before the flood")
	before := p.peak(t)
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
		c, err := tls.Dial("tcp", p.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // an attacker does not care
		if err == nil {
			open = append(open, c)
		}
	}
	report(kept, "a connection that a pod has")
	report(p.runtime(t, tokenOf("shop", 0, identitytest.Good)), "a new connection of a pod")
	grown := p.peak(t) - before
	t.Logf("%d connections took %d KB", len(open), grown>>10)
	if grown > 2*mayGrow {
		t.Errorf("the process grew by %d MB", grown>>20)
	}
}

func TestTheGatewaySpeaksHTTP2Only(t *testing.T) {
	p := startProcess(t)
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		c, err := tls.Dial("tcp", p.address, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: p.roots, ServerName: "gateway.test", NextProtos: protocols})
		if err != nil {
			continue // refused in the handshake
		}
		_ = c.SetDeadline(time.Now().Add(15 * time.Second))
		_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer, _ := io.ReadAll(c)
		if strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Errorf("%v: %s", protocols, answer)
		}
		_ = c.Close()
	}
}

func TestAnswersThatAreNotTakenHoldLittle(t *testing.T) {
	p := startProcess(t)
	data := dataOf(t, p, "shop", 0)
	kept := p.runtime(t, tokenOf("shop", 0, identitytest.Good))
	report := func(what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := kept.Report(ctx, connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: data, Revision: "r1"})); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	report("before")
	before := p.peak(t)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	header, answered := strings.Repeat("h", 12<<10), make(chan struct{}, 10_000)
	for n := range 80 {
		// No byte of an answer fits into the window of such a connection.
		transport := p.transport()
		transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 1}
		t.Cleanup(transport.CloseIdleConnections)
		token := ""
		if n%2 == 0 {
			token = tokenOf("hog", n%12, "bogus")
		}
		client := &http.Client{Transport: bearer{token, transport}}
		for range 32 {
			group.Go(func() {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.address+gatewayv1alpha1connect.GatewayServiceReportProcedure, http.NoBody)
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
	grown := p.peak(t) - before
	t.Logf("2560 requests whose answers are not taken took %d KB", grown>>10)
	// A thousand requests are held at most, each with its header and buffers.
	if grown > 3*mayGrow {
		t.Errorf("the process grew by %d MB", grown>>20)
	}
}

func TestAConnectionOfAPodTakesLittle(t *testing.T) {
	p := startProcess(t)
	before := p.status(t, "VmRSS:")
	const each = 4
	open := 0
	for namespace, count := range knownPods {
		for n := range count {
			for range each {
				c := p.runtime(t, tokenOf(namespace, n, identitytest.Good))
				if _, err := c.RunHook(t.Context(), connect.NewRequest(&gatewayv1alpha1.RunHookRequest{Data: "x"})); connect.CodeOf(err) != connect.CodeNotFound {
					t.Fatal(err)
				}
				open++
			}
		}
	}
	grown := (p.status(t, "VmRSS:") - before) / int64(open)
	t.Logf("each of %d connections takes %d KB", open, grown>>10)
	if most := int64(96 << 10); grown > most {
		t.Errorf("each takes %d bytes, at most %d are planned for", grown, most)
	}
}
