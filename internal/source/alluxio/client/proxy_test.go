// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// The proxy answers every request with 200 and nothing, as Alluxio's does.
func TestPortOfTheProxyWithoutAMasterBesideItIsMisconfigured(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer proxy.Close()
	address := strings.TrimPrefix(proxy.URL, "http://")
	asked := map[string]bool{}
	c := New(Options{Address: address, User: "kuda", Dial: func(ctx context.Context, network, to string) (net.Conn, error) {
		asked[to] = true
		if to != address {
			to = "127.0.0.1:1"
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}})
	defer c.Close()
	for range 2 {
		_, err := c.Status(t.Context(), "/a", wire.Now)
		if !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), "19998") {
			t.Errorf("got %v", err)
		}
	}
	if !asked["127.0.0.1:19998"] {
		t.Errorf("the master was not asked: %v", asked)
	}
}

func TestAddressWithoutAServerIsNotTakenForTheProxys(t *testing.T) {
	c := New(Options{Address: "127.0.0.1:1", User: "kuda", Dial: (&net.Dialer{}).DialContext})
	defer c.Close()
	if _, err := c.Status(t.Context(), "/a", wire.Now); err == nil || errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}
