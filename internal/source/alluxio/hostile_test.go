// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/alluxiotest"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// folder is a directory as a master sends it.
func folder(path string) wire.Message {
	return wire.Message{}.Nested(1, wire.Message{}.Text(3, path).Flag(8, true).Flag(9, true))
}

func TestAListingOfDirectoriesThatNeverEndsIsGivenUp(t *testing.T) {
	path := "/t"
	address := alluxiotest.Answer(t, func(method string) []wire.Message {
		if method == wire.ListStatus {
			path += "/" + strings.Repeat("d", 200)
		}
		return []wire.Message{folder(path)}
	})
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSource(Config{Host: at.IP.String(), Port: at.Port, UserName: "kuda"}, (&net.Dialer{}).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for e, err := range s.List(t.Context(), "/t") {
		if !errors.Is(err, source.ErrMisconfigured) || len(err.Error()) > 1000 {
			t.Errorf("got %q, %v", e.Path, err)
		}
	}
	if len(path) > 2*maxPath {
		t.Errorf("%d bytes of a path were followed", len(path))
	}
}
