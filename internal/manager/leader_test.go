// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

func TestTheLeaseHasAConnectionOfItsOwn(t *testing.T) {
	var mu sync.Mutex
	from := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr] = true
	}))
	defer server.Close()
	cfg := withoutRateLimit(&rest.Config{Host: server.URL})
	for _, c := range []*rest.Config{cfg, leaderConfig(cfg), cfg, leaderConfig(cfg)} {
		client, err := rest.HTTPClientFor(c)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	if len(from) < 2 {
		t.Errorf("all came over one connection: %v", from)
	}
}

func TestABusyAPIServerHasTriesToRenewTheLease(t *testing.T) {
	if renewDeadline >= leaseDuration || renewDeadline < 6*renewInterval {
		t.Errorf("the Lease lasts %s, is renewed within %s, every %s", leaseDuration, renewDeadline, renewInterval)
	}
}
