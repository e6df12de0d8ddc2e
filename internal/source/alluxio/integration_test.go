// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package alluxio

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/alluxiotest"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func TestContractOnAlluxio(t *testing.T) { contract(t, alluxiotest.Start(t, "block-size=1048576")) }

func TestContractOnAlluxioWithoutSigningIn(t *testing.T) {
	contract(t, alluxiotest.Start(t, "auth=NOSASL"))
}

func contract(t *testing.T, server *alluxiotest.Server) {
	sourcetest.Run(t, sourcetest.Harness{
		Addr: server.Master, Others: []string{server.Servers["worker0"].Address},
		OpenVia: func(t *testing.T, via map[string]string) source.Source { return openVia(t, server, via) },
		Put:     func(t *testing.T, path string, content []byte) { server.Put(t, path, content) },
		Delete: func(t *testing.T, path string) {
			if err := os.Remove(filepath.Join(server.Root, path)); err != nil {
				t.Fatal(err)
			}
		},
		Mkdir: func(t *testing.T, path string) {
			if err := os.MkdirAll(filepath.Join(server.Root, path), 0o755); err != nil {
				t.Fatal(err)
			}
		},
		Refuses:    refuses,
		Boundaries: []int64{3 << 20},
	})
}

// refuses reports whether Alluxio refuses a name, or lists none such that is stored
// behind it.
func refuses(path string) bool {
	return strings.ContainsAny(path, `?\`) || slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return len(s) > 255 })
}

// openVia opens a source that reaches addresses through others.
func openVia(t *testing.T, server *alluxiotest.Server, via map[string]string) *Source {
	t.Helper()
	host, port := server.Host(t)
	dial := (&net.Dialer{}).DialContext
	config := Config{Host: host, Port: port, UserName: "kuda"}
	s, err := newSource(config, func(ctx context.Context, network, address string) (net.Conn, error) {
		if other := via[address]; other != "" {
			address = other
		}
		return dial(ctx, network, address)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
