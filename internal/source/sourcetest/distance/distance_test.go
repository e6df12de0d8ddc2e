// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package distance

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// startServer starts a server of some content, and returns its URL behind a proxy.
func startServer(t *testing.T, d *Proxy, content []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(server.Close)
	return "http://" + listenBefore(t, d, strings.TrimPrefix(server.URL, "http://"))
}

func listenBefore(t *testing.T, d *Proxy, target string) string {
	t.Helper()
	addr, err := d.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return addr
}

// getBody returns what was read of an answer, and its error.
func getBody(url string) ([]byte, *http.Response, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	return got, answer, err
}

func TestADistanceDelaysEachResponseAndPacesAllConnections(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 512<<10)
	profile := Profile{FirstByte: 20 * time.Millisecond, PerConnection: 8 << 20, Total: 12 << 20}
	d := New(profile)
	url := startServer(t, d, content)
	whole := func() error {
		got, _, err := getBody(url)
		if err == nil && !bytes.Equal(got, content) {
			err = fmt.Errorf("got %d bytes", len(got))
		}
		return err
	}
	// One connection: two answers of 1/16 s, the last piece of which is not waited for.
	began := time.Now()
	for range 2 {
		if err := whole(); err != nil {
			t.Fatal(err)
		}
	}
	if took, least := time.Since(began), 2*profile.FirstByte+90*time.Millisecond; took < least {
		t.Errorf("two answers took %s, want at least %s", took, least)
	}
	if d.Requests() != 2 || d.Connections() != 1 {
		t.Errorf("there were %d requests on %d connections", d.Requests(), d.Connections())
	}
	// Four connections share the total: 2 MiB at 12 MiB/s.
	began = time.Now()
	ended := make(chan error)
	for range 4 {
		go func() { ended <- whole() }()
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took < 130*time.Millisecond {
		t.Errorf("four answers at once took %s", took)
	}
}

// A protocol with several calls under way on a connection waits once for all of them.
func TestRequestsThatFollowEachOtherAreDelayedAtTheSameTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	const first = 50 * time.Millisecond
	d := New(Profile{FirstByte: first})
	c, err := net.Dial("tcp", listenBefore(t, d, l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	for i := range 10 {
		if _, err := fmt.Fprintf(c, "call %d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	in := bufio.NewReader(c)
	for i := range 10 {
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("call %d\n", i) {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	if took := time.Since(began); took < first || took > 5*first {
		t.Errorf("ten calls at once took %s", took)
	}
}

func TestALossyDistanceCutsSomeResponsesAndDelaysOthers(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 4<<10)
	const stall = 50 * time.Millisecond
	d := New(Profile{CutEvery: 4, StallEvery: 4, Stall: stall})
	url := startServer(t, d, content)
	for i := 1; i <= 8; i++ {
		began := time.Now()
		got, _, err := getBody(url)
		if cut := i%4 == 2; cut != (err != nil) || cut != (len(got) < len(content)) {
			t.Errorf("request %d: %d bytes, %v", i, len(got), err)
		}
		if took := time.Since(began); i%4 == 0 && took < stall {
			t.Errorf("request %d took %s", i, took)
		}
	}
	if d.Cuts() != 2 {
		t.Errorf("%d answers were cut", d.Cuts())
	}
}

func TestALossyDistanceRefusesSomeRequestsAndKeepsTheirConnection(t *testing.T) {
	d := New(Profile{RefuseEvery: 8})
	url := startServer(t, d, []byte("content"))
	for i := 1; i <= 16; i++ {
		got, answer, err := getBody(url)
		if err != nil {
			t.Fatal(err)
		}
		want := http.StatusOK
		if i%8 == 2 {
			want = http.StatusServiceUnavailable
		}
		if answer.StatusCode != want || (want != http.StatusOK && answer.Header.Get("Retry-After") != "1") {
			t.Errorf("request %d: %s, %q", i, answer.Status, got)
		}
	}
	if d.Refusals() != 2 || d.Connections() != 1 {
		t.Errorf("%d requests were refused, on %d connections", d.Refusals(), d.Connections())
	}
}

func TestAClosedDistanceCutsItsConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d := New(Profile{})
	addr := listenBefore(t, d, l.Addr().String())
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	d.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
	if other, err := net.Dial("tcp", addr); err == nil {
		other.Close()
		t.Error("a new connection was taken")
	}
}

func TestALateTimerDoesNotBecomeALowerRate(t *testing.T) {
	p := pace{rate: 1000}
	now := time.Unix(0, 0)
	if wait := p.reserveAt(now, 10); wait != 0 {
		t.Errorf("the first bytes wait %v", wait)
	}
	// Each look comes a millisecond later than it should.
	var total time.Duration
	for range 100 {
		wait := p.reserveAt(now, 10)
		now = now.Add(wait + time.Millisecond)
		total += wait + time.Millisecond
	}
	if total > 1010*time.Millisecond {
		t.Errorf("1000 bytes took %v at 1000 bytes/s", total)
	}
	// A pause is not made up for.
	now = now.Add(time.Hour)
	sent := 0
	for p.reserveAt(now, 10) == 0 {
		sent += 10
	}
	if sent > 10+int(slack*1000/time.Second)+10 {
		t.Errorf("%d bytes came at once after a pause", sent)
	}
}
