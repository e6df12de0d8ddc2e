// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// newServer serves a webhook that allows everything, after handle has returned.
func newServer(t *testing.T, handle func(context.Context)) (*httptest.Server, *Gate) {
	t.Helper()
	gate, err := NewGate(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(gate.Handler(PodBounds, admission.HandlerFunc(func(ctx context.Context, r admission.Request) admission.Response {
		if handle != nil {
			handle(ctx)
		}
		return admission.Allowed("").WithWarnings("of " + r.Namespace)
	})))
	t.Cleanup(s.Close)
	return s, gate
}

func review(object string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE","namespace":"shop",` +
		`"object":` + object + `}}`
}

// from is a client at one of the machine's loopback addresses.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func post(c *http.Client, s *httptest.Server, body io.Reader) (int, string, error) {
	resp, err := c.Post(s.URL, "application/json", body)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

func TestAReviewIsAnswered(t *testing.T) {
	s, gate := newServer(t, nil)
	code, body, err := post(s.Client(), s, strings.NewReader(review(`{"metadata":{"labels":{"a":"b"}}}`)))
	if err != nil || code != http.StatusOK {
		t.Fatalf("%d %s, %v", code, body, err)
	}
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.APIVersion != "admission.k8s.io/v1" || got.Kind != "AdmissionReview" ||
		got.Response == nil || !got.Response.Allowed || got.Response.UID != "u" || len(got.Response.Warnings) != 1 ||
		got.Response.Warnings[0] != "of shop" {
		t.Errorf("got %s, %v", body, err)
	}
	// The answer gets here before the handler returns.
	waitFor(t, func() bool { return gate.bodies.Used() == 0 })
}

func TestWhatIsNoReviewIsRefusedWithTheReason(t *testing.T) {
	s, _ := newServer(t, func(context.Context) { t.Error("it was handled") })
	for name, c := range map[string]struct {
		body, header, value string
		code                int
		want                string
	}{
		"no JSON":                {"hello", "", "", 400, "reading the review"},
		"nothing":                {"", "", "", 400, "reading the review"},
		"another object":         {`{"kind":"Pod"}`, "", "", 400, "not a review"},
		"no request":             {`{"apiVersion":"admission.k8s.io/v1"}`, "", "", 400, "not a review"},
		"too many bytes":         {review(`"` + strings.Repeat("x", PodBounds.Bytes) + `"`), "", "", 413, "KiB"},
		"20,000 containers":      {review(`{"spec":{"containers":[` + strings.Repeat("{},", 20_000) + `{}]}}`), "", "", 413, "elements"},
		"compressed":             {"x", "Content-Encoding", "gzip", 415, "plain"},
		"of another type":        {"x", "Content-Type", "application/yaml", 415, "plain"},
		"elements of the review": {`{"request":{"userInfo":{"groups":[` + strings.Repeat(`"",`, 20_000) + `""]}}}`, "", "", 413, "elements"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != c.code || !bytes.Contains(body, []byte(c.want)) || !bytes.Contains(body, []byte(`"kind":"Status"`)) {
				t.Errorf("%s %s", resp.Status, body)
			}
		})
	}
}

// slow is a body that begins and never ends.
type slow struct {
	text string
	stop <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if s.text != "" {
		n := copy(p, s.text)
		s.text = s.text[n:]
		return n, nil
	}
	<-s.stop
	return 0, io.ErrUnexpectedEOF
}

func TestBodiesThatDoNotEndHoldUpNoOtherCaller(t *testing.T) {
	s, gate := newServer(t, nil)
	stop := make(chan struct{})
	half := review(`"` + strings.Repeat("x", 900<<10))
	hostile, ended := from(t, "127.0.0.1"), make(chan struct{}, 200)
	for range 200 {
		go func() {
			_, _, _ = post(hostile, s, &slow{text: half, stop: stop})
			ended <- struct{}{}
		}()
	}
	waitFor(t, func() bool { return gate.bodies.Used() > bodyBytes/2 })
	known := from(t, "127.0.0.2")
	for range 20 {
		started := time.Now()
		code, body, err := post(known, s, strings.NewReader(review(`{"spec":{"a":"`+strings.Repeat("x", 20<<10)+`"}}`)))
		if err != nil || code != http.StatusOK || time.Since(started) > 5*time.Second {
			t.Fatalf("after %s: %d %s, %v", time.Since(started), code, body, err)
		}
		if used := gate.bodies.Used(); used > bodyBytes {
			t.Fatalf("%d bytes are held", used)
		}
	}
	close(stop)
	for range 200 {
		<-ended
	}
	waitFor(t, func() bool { return gate.bodies.Used() == 0 })
}

func TestCallersTakeTurns(t *testing.T) {
	inside, release := make(chan struct{}, smallPlaces), make(chan struct{})
	s, _ := newServer(t, func(ctx context.Context) {
		inside <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
	})
	results := make(chan string, 200)
	ask := func(c *http.Client) {
		code, _, err := post(c, s, strings.NewReader(review("{}")))
		results <- fmt.Sprint(code, err)
	}
	hostile := from(t, "127.0.0.1")
	for range 100 {
		go ask(hostile)
	}
	for range smallPlaces {
		<-inside
	}
	// What finds no place in time is asked to come again, which the API server does.
	shedOnes := 0
	for shedOnes < 100-smallPlaces {
		if r := <-results; r == "429 <nil>" {
			shedOnes++
		} else {
			t.Fatalf("got %s", r)
		}
	}
	close(release)
	for range smallPlaces {
		if r := <-results; r != "200 <nil>" {
			t.Errorf("got %s", r)
		}
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-again.C:
		case <-late:
			t.Fatal("it did not come about")
		}
	}
}
