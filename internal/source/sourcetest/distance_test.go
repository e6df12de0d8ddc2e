// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestADistanceDelaysEachResponseAndPacesAllConnections(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 512<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(server.Close)
	profile := Profile{FirstByte: 20 * time.Millisecond, PerConnection: 8 << 20, Total: 12 << 20}
	d := NewDistance(profile)
	url := "http://" + d.Front(t, strings.TrimPrefix(server.URL, "http://"))
	get := func() error {
		answer, err := http.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		if err == nil && !bytes.Equal(got, content) {
			t.Errorf("got %d bytes", len(got))
		}
		return err
	}
	// One connection: two answers of 1/16 s, the last piece of which is not waited for.
	began := time.Now()
	for range 2 {
		if err := get(); err != nil {
			t.Fatal(err)
		}
	}
	if took, least := time.Since(began), 2*profile.FirstByte+100*time.Millisecond; took < least {
		t.Errorf("two answers took %s, want at least %s", took, least)
	}
	if d.Requests() != 2 || d.Connections() != 1 {
		t.Errorf("there were %d requests on %d connections", d.Requests(), d.Connections())
	}
	// Four connections share the total: 2 MiB at 12 MiB/s.
	began = time.Now()
	ended := make(chan error)
	for range 4 {
		go func() { ended <- get() }()
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took < 140*time.Millisecond {
		t.Errorf("four answers at once took %s", took)
	}
}

func TestALossyDistanceCutsSomeResponsesAndDelaysOthers(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 4<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(server.Close)
	const stall = 50 * time.Millisecond
	d := NewDistance(Profile{CutEvery: 4, StallEvery: 4, Stall: stall})
	url := "http://" + d.Front(t, strings.TrimPrefix(server.URL, "http://"))
	for i := 1; i <= 8; i++ {
		began := time.Now()
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		answer.Body.Close()
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
