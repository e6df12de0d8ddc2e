// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/internal/dashboard"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
)

const watchPath = "/api/v1/watch?namespace=shop&name=models"

// events opens a stream, and returns its events as "name data".
func (w *world) events(t *testing.T, ctx context.Context) <-chan string {
	t.Helper()
	return w.eventsOf(t, ctx, watchPath)
}

// eventsOf is events of another path.
func (w *world) eventsOf(t *testing.T, ctx context.Context, path string) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	found := make(chan string, 16)
	go func() {
		defer close(found)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		name := ""
		for lines.Scan() {
			if after, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = after
			}
			if after, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				found <- name + " " + after
			}
		}
	}()
	return found
}

// nextScene returns the next scene of a stream.
func nextScene(t *testing.T, events <-chan string) contract.Scene {
	t.Helper()
	select {
	case event := <-events:
		return readScene(t, event)
	case <-time.After(20 * time.Second):
		t.Fatal("no event came")
	}
	return contract.Scene{}
}

func readScene(t *testing.T, event string) contract.Scene {
	t.Helper()
	data, ok := strings.CutPrefix(event, "scene ")
	var s contract.Scene
	if err := json.Unmarshal([]byte(data), &s); !ok || err != nil {
		t.Fatalf("%v: %q", err, event)
	}
	return s
}

func TestAStreamSendsAChangeAndEndsWithTheDataSet(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, adminToken)
	events := w.events(t, t.Context())
	if s := nextScene(t, events); s.View.Paused || s.UID != "uid-1" {
		t.Fatalf("%+v", s)
	}
	d := w.dataSet(t)
	// The played API server does not tell a watch of a change that came just before it.
	for paused := false; !paused; d = w.dataSet(t) {
		d.Spec.Paused = true
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, "changed", time.Now().String())
		if err := w.Client.Update(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		select {
		case event := <-events:
			paused = readScene(t, event).View.Paused
		case <-time.After(2 * time.Second):
		}
	}
	if err := w.Client.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	last := ""
	for event := range events {
		last = event
	}
	if !strings.HasPrefix(last, `end {"code":"NotFound"`) {
		t.Errorf("last event %q", last)
	}
}

func TestAStreamEndsInTimeToProveItselfAgain(t *testing.T) {
	w := newWorld(t, func(o *dashboard.Options) { o.Limits.StreamLife = 50 * time.Millisecond })
	w.signIn(t, adminToken)
	last := ""
	for event := range w.events(t, t.Context()) {
		last = event
	}
	if last != "again {}" {
		t.Errorf("last event %q", last)
	}
}

func TestAUserHasABoundedNumberOfStreams(t *testing.T) {
	w := newWorld(t, func(o *dashboard.Options) { o.Limits.Streams = 1 })
	w.signIn(t, adminToken)
	ctx, cancel := context.WithCancel(t.Context())
	events := w.events(t, ctx)
	nextScene(t, events)
	resp, body := w.send(t, http.MethodGet, watchPath, "")
	wantRefusal(t, resp, body, http.StatusTooManyRequests, "TooManyStreams")
	cancel()
	for range events {
	}
}

func TestAStreamDoesNotOutliveItsToken(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, jwt(time.Now().Add(3*time.Second)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	last := ""
	for event := range w.events(t, ctx) {
		last = event
	}
	if last != "again {}" || ctx.Err() != nil {
		t.Errorf("last event %q, %v", last, ctx.Err())
	}
	resp, body := w.send(t, http.MethodGet, watchPath, "")
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestWhoMayNoLongerReadTheDataSeesNoMoreOfThem(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, lateToken)
	last := ""
	for event := range w.events(t, t.Context()) {
		last = event
	}
	if !strings.HasPrefix(last, `end {"code":"Forbidden"`) {
		t.Errorf("last event %q", last)
	}
}

func TestAllUsersTogetherHaveABoundedNumberOfStreams(t *testing.T) {
	w := newWorld(t, func(o *dashboard.Options) { o.Limits.AllStreams = 1 })
	w.signIn(t, adminToken)
	ctx, cancel := context.WithCancel(t.Context())
	events := w.events(t, ctx)
	nextScene(t, events)
	resp, body := w.send(t, http.MethodGet, watchPath, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+viewerToken) })
	wantRefusal(t, resp, body, http.StatusTooManyRequests, "TooManyStreams")
	cancel()
	for range events {
	}
}

func TestStreamsEndWithTheServer(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, adminToken)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, listener) }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+watchPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cancel()
	if err := <-served; err != nil || time.Since(began) > 4*time.Second {
		t.Errorf("ended after %s: %v", time.Since(began), err)
	}
}
