// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
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

func gzipBytes(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

func frameBytes(flags byte, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(data))), data...)
}

// dataOf is the name of a pod's Data.
func dataOf(t *testing.T, p *process, namespace string, n int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := p.runtimeClient(t, tokenOf(namespace, n, identitytest.Good)).Watch(ctx,
		connect.NewRequest(&gatewayv1alpha1.WatchRequest{Datasets: []string{"models"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = stream.Close() }()
	if !stream.Receive() || len(stream.Msg().GetAssignments()) != 1 {
		t.Fatalf("nothing is streamed: %v", stream.Err())
	}
	return stream.Msg().GetAssignments()[0].GetData()
}

func TestPodsWithoutTheRuntimeAreRefusedEverywhere(t *testing.T) {
	p := startProcess(t)
	plain := p.runtimeClient(t, identitytest.Token("shop", "plain", "plain", time.Now().Add(time.Hour), identitytest.Good, nil))
	_, report := plain.Report(t.Context(), connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: "d"}))
	_, store := plain.ReportStore(t.Context(), connect.NewRequest(&gatewayv1alpha1.ReportStoreRequest{StoreId: "s"}))
	_, hook := plain.RunHook(t.Context(), connect.NewRequest(&gatewayv1alpha1.RunHookRequest{Data: "d"}))
	stream, err := plain.Watch(t.Context(), connect.NewRequest(&gatewayv1alpha1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if stream.Receive() {
		t.Error("a pod without the runtime is told what to have")
	}
	for name, err := range map[string]error{"Report": report, "ReportStore": store, "RunHook": hook, "Watch": stream.Err()} {
		if connect.CodeOf(err) != connect.CodePermissionDenied || !strings.Contains(err.Error(), "not injected") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBogusTokensDoNotDelayAPod(t *testing.T) {
	p := startProcess(t)
	data := dataOf(t, p, "shop", 0)
	ctx, cancel := context.WithCancel(t.Context())
	bogus := make(chan struct{})
	var group sync.WaitGroup
	flood := p.httpClient(t, "")
	for n := range 64 {
		group.Go(func() {
			token := identitytest.Token("shop", fmt.Sprintf("stranger-%d", n), "u", time.Now().Add(time.Hour), "slow", nil)
			r, err := http.NewRequestWithContext(ctx, http.MethodPost,
				"https://"+p.address+gatewayv1alpha1connect.GatewayServiceReportProcedure, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", "application/proto")
			r.Header.Set("Authorization", "Bearer "+token)
			bogus <- struct{}{}
			if response, err := flood.Do(r); err == nil {
				_ = response.Body.Close()
			}
		})
	}
	t.Cleanup(func() { cancel(); group.Wait() })
	for range 64 {
		<-bogus
	}
	// The token is new to the gateway, so the API server is asked about it too.
	token := identitytest.Token("shop", podName(0), podUID("shop", 0), time.Now().Add(2*time.Hour), identitytest.Good, nil)
	good := p.runtimeClient(t, token)
	// The handshake of a new connection is not what is measured.
	_, _ = good.Report(t.Context(), connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: data, Revision: "r0"}))
	begun := time.Now()
	token = identitytest.Token("shop", podName(0), podUID("shop", 0), time.Now().Add(3*time.Hour), identitytest.Good, nil)
	fresh := gatewayv1alpha1connect.NewGatewayServiceClient(&http.Client{Transport: bearer{token, p.newTransport()}}, "https://"+p.address)
	if _, err := fresh.Report(t.Context(), connect.NewRequest(&gatewayv1alpha1.ReportRequest{Data: data, Revision: "r1"})); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	t.Logf("a good caller with a new token took %s", took)
	// Reviews of the others end after ten seconds; two are far below, on any machine.
	if took > 2*time.Second {
		t.Errorf("a good caller waited %s", took)
	}
}

func TestAPodThatHogsHooksLeavesOthersTheirs(t *testing.T) {
	p := startProcess(t, "KUDA_TEST_HOOK_OUTPUT=off")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	outcomes := make(chan error, 1000)
	for n := range knownPods["hog"] {
		data, hog := dataOf(t, p, "hog", n), p.runtimeClient(t, tokenOf("hog", n, identitytest.Good))
		for range 8 {
			group.Go(func() {
				_, err := hog.RunHook(ctx, connect.NewRequest(&gatewayv1alpha1.RunHookRequest{Data: data, Revision: "r1",
					Point: gatewayv1alpha1.HookPoint_HOOK_POINT_PRE_DOWNLOAD}))
				outcomes <- err
			})
		}
	}
	// All but the namespace's sixteen are refused.
	for range 8*knownPods["hog"] - 16 {
		if err := <-outcomes; connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Fatalf("%v, want to be told to wait", err)
		}
	}
	data := dataOf(t, p, "shop", 1)
	begun := time.Now()
	response, err := p.runtimeClient(t, tokenOf("shop", 1, identitytest.Good)).RunHook(t.Context(),
		connect.NewRequest(&gatewayv1alpha1.RunHookRequest{
			Data: data, Revision: "r1", Point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD}))
	if err != nil {
		t.Fatalf("a hook of another namespace: %v", err)
	}
	if response.Msg.GetOutput() != "" {
		t.Errorf("output %q is shown although that is switched off", response.Msg.GetOutput())
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
