// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// memoryUnderFlood is a quarter of the limit that an injected runtime has.
const memoryUnderFlood = 64 << 20

// What strangers send on a connection; they read nothing of what comes back.
var floods = map[string]string{
	"nothing":            "",
	"half a header":      "GET " + sidecar.PathReadyz + " HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", 4000),
	"a header too long":  "GET " + sidecar.PathReadyz + " HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", 60_000),
	"watches":            "GET " + sidecar.PathData + "?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"metrics, pipelined": strings.Repeat("GET "+sidecar.PathMetrics+" HTTP/1.1\r\nHost: x\r\n\r\n", 100),
	"an endless body": "POST " + sidecar.PathReadyz + " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" +
		strings.Repeat("b", 60_000),
	"a chunk without end": "GET " + sidecar.PathReadyz + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n" +
		strings.Repeat("c", 60_000),
	"another protocol":     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 1000),
	"a TLS handshake":      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 500),
	"waiting for continue": "GET " + sidecar.PathReadyz + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
}

// peakMemory is the most that the process ever had resident.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(strings.Fields(string(rest))[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("the kernel does not say how much memory the process had")
	return 0
}

// machineAddress is not loopback, as a pod's address is not.
func machineAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Fatal("this test needs an address of the machine that is not loopback")
	return ""
}

func TestTwentyThousandConnectionsTakeNeitherMemoryNorTheProbe(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	s := newSidecar(t, g)
	s.start()
	g.Success("ds-pod", "r1")
	address := net.JoinHostPort(machineAddress(t), strconv.Itoa(s.port))
	probe := func() {
		t.Helper()
		// The kubelet's patience, and a new connection each time, as the kubelet's.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+sidecar.PathReadyz, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("the probe: %v", err)
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			t.Fatalf("the probe: %s %s", resp.Status, body)
		}
		if code, body := s.get(sidecar.PathData); code != http.StatusOK || !strings.Contains(body, "r1") {
			t.Fatalf("the pod itself: %d %s", code, body)
		}
	}
	quiet := peakMemory(t, s.cmd.Process.Pid)
	each := 20_000 / len(floods)
	for name, content := range floods {
		var open []net.Conn
		for i := range each {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			// The runtime may have closed it already.
			_ = c.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
			_, _ = io.WriteString(c, content)
			open = append(open, c)
			if i%500 == 0 {
				probe()
			}
		}
		probe()
		for _, c := range open {
			_ = c.Close()
		}
		t.Logf("%s: %d MiB at most", name, peakMemory(t, s.cmd.Process.Pid)>>20)
	}
	if peak := peakMemory(t, s.cmd.Process.Pid); peak > memoryUnderFlood {
		t.Errorf("the runtime had %d MiB, want at most %d (%d before the flood)", peak>>20, memoryUnderFlood>>20, quiet>>20)
	}
}

// The containers of the pod share the runtime's network; what one of them opens
// without end must not end the runtime.
func TestTheOwnPodCannotExhaustItsRuntime(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	s := newSidecar(t, g)
	s.start()
	g.Success("ds-pod", "r1")
	var open []net.Conn
	for range 9_500 {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, floods["watches"])
		open = append(open, c)
	}
	if code, body := s.get(sidecar.PathData); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	for _, c := range open {
		_ = c.Close()
	}
	if peak := peakMemory(t, s.cmd.Process.Pid); peak > memoryUnderFlood {
		t.Errorf("the runtime had %d MiB, want at most %d", peak>>20, memoryUnderFlood>>20)
	}
}
