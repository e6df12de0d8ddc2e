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

func TestADistanceDelaysEachAnswerAndPacesAllConnections(t *testing.T) {
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
