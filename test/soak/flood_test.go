//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// envFlood makes the test's binary be an attacker, with a flood as JSON.
const envFlood = "KUDA_SOAK_FLOOD"

// Attackers keep that many connections open to each target, as far as they are
// let. A process may have too few descriptors for all of them.
const (
	connections = 20_000
	attackers   = 4
)

// flood is what one attacker does to one target.
type flood struct {
	// Address of the target, and whether it speaks TLS.
	Address string
	TLS     bool
	// From are the addresses that the attacker has. The first is also that of
	// callers whom the target serves, as where a cluster translates addresses.
	From []string
	// Paths of garbage requests; without TLS all is sent on plain connections.
	Paths []string
	// Connections are how many it keeps.
	Connections int
	// For is how long it lasts.
	For time.Duration
}

// What it does in a second.
const (
	newConnections = 200 / attackers
	newRequests    = 40 / attackers
	// One connection of so many shakes hands.
	handshakes = 8
)

// start runs the attacker on the attackers' processor.
func (f flood) start(t *testing.T, processor unix.CPUSet) *exec.Cmd {
	t.Helper()
	spec, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envFlood+"="+string(spec), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := startAttacker(cmd, processor); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// attack is the attacker's process.
func attack(spec string) error {
	var f flood
	if err := json.Unmarshal([]byte(spec), &f); err != nil {
		return err
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	files.Cur = files.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("allowing %d connections: %w", files.Cur, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.For)
	defer cancel()
	if f.TLS {
		for _, from := range f.From {
			go f.request(ctx, from)
		}
	}
	opened := f.connect(ctx)
	fmt.Printf("an attacker of %s: %d connections in %s\n", f.Address, opened, f.For)
	// A busy machine gets an attacker less far.
	if opened < f.Connections/2 {
		return fmt.Errorf("only %d of %d connections were tried", opened, f.Connections)
	}
	return nil
}

// connect opens connections until the time is over, and closes the oldest when
// there are as many as it keeps.
func (f flood) connect(ctx context.Context) int {
	open := make([]net.Conn, f.Connections)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	// A short soak has to be quicker to try them all.
	rate := max(newConnections, int(float64(f.Connections)/(f.For.Seconds()*0.9)))
	opened, due := 0, 0.0
	for {
		select {
		case <-ctx.Done():
			return opened
		case <-tick.C:
		}
		for due += float64(rate) / 100; due >= 1; due-- {
			d := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.From[opened%len(f.From)])}}
			c, err := d.DialContext(ctx, "tcp", f.Address)
			opened++
			if err != nil {
				continue
			}
			at := opened % f.Connections
			if open[at] != nil {
				_ = open[at].Close()
			}
			open[at] = c
			f.spoil(c, opened)
		}
	}
}

// spoil begins something on a connection and never ends it.
func (f flood) spoil(c net.Conn, n int) {
	_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if f.TLS && n%handshakes == 0 {
		secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}})
		if secure.Handshake() == nil {
			_, _ = io.WriteString(secure, openings[n%len(openings)])
		}
		return
	}
	_, _ = io.WriteString(c, openings[n%len(openings)])
}

// openings are what connections begin with.
var openings = []string{
	"",
	"GET /readyz HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", 4000),
	"GET /v1/data?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n",
	strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 20),
	"POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + strings.Repeat("b", 30_000),
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01", 1000),
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 200),
}

// request sends garbage bodies to the paths until the time is over.
func (f flood) request(ctx context.Context, from string) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true, DialContext: d.DialContext,
	}}
	tick := time.NewTicker(time.Second * time.Duration(len(f.From)) / newRequests)
	defer tick.Stop()
	kinds := garbage()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g := kinds[n%len(kinds)]
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+f.Address+f.Paths[n%len(f.Paths)], g.reader())
		if err != nil {
			continue
		}
		for name, value := range g.header {
			r.Header.Set(name, value)
		}
		go func() {
			resp, err := client.Do(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
			_ = resp.Body.Close()
		}()
	}
}

// garbageBody is a request's body with the headers that have it read.
type garbageBody struct {
	header map[string]string
	body   []byte
	// endless says that the body stops in its middle.
	endless bool
}

func (g garbageBody) reader() io.Reader {
	if g.endless {
		r, w := io.Pipe()
		go func() {
			_, _ = w.Write(g.body)
		}()
		return r
	}
	return bytes.NewReader(g.body)
}

func garbage() []garbageBody {
	random := make([]byte, 512<<10)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	for range 1_000_000 {
		_, _ = z.Write([]byte{0x0a, 0x00}) // an empty message in the first repeated field
	}
	_ = z.Close()
	review := func(object string) []byte {
		return []byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE",` +
			`"namespace":"default","resource":{"version":"v1","resource":"pods"},"object":` + object + `}}`)
	}
	jsonType := map[string]string{"Content-Type": "application/json"}
	proto := map[string]string{"Content-Type": "application/proto", "Connect-Protocol-Version": "1"}
	bogus := map[string]string{"Content-Type": "application/proto", "Connect-Protocol-Version": "1", "Content-Encoding": "gzip",
		"Authorization": "Bearer x.y.z"}
	unzipped := map[string]string{"Content-Type": "application/proto", "Connect-Protocol-Version": "1", "Content-Encoding": "gzip"}
	grpc := map[string]string{"Content-Type": "application/grpc", "Te": "trailers", "Grpc-Encoding": "gzip"}
	framed := append([]byte{1, 0, 0, byte(zipped.Len() >> 8), byte(zipped.Len())}, zipped.Bytes()...)
	return []garbageBody{
		{header: jsonType, body: review(`{"metadata":{"labels":{"app":"search"}},"spec":{"containers":[` +
			strings.Repeat("{},", 20_000) + `{}]}}`)},
		{header: jsonType, body: review(`{"metadata":{"labels":{"app":"search"}},"spec":{"containers":[` +
			strings.Repeat("{},", 8_000) + `{}]}}`)},
		{header: jsonType, body: review(`{"metadata":{"labels":{"app":"search"}},"spec":{"containers":[{}],"volumes":[` +
			strings.Repeat("{},", 8_000) + `{}]}}`)},
		{header: jsonType, body: review(strings.Repeat(`{"a":`, 60_000) + "1" + strings.Repeat("}", 60_000))},
		{header: jsonType, body: random},
		{header: jsonType, body: review(`"` + strings.Repeat("x", 900_000) + `"`)},
		{header: jsonType, body: review(`"` + strings.Repeat("x", 300_000)), endless: true},
		{header: proto, body: random},
		{header: unzipped, body: zipped.Bytes()},
		{header: bogus, body: zipped.Bytes()},
		{header: grpc, body: framed},
		{header: proto, body: random[:1000], endless: true},
	}
}
