// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxiotest

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// Answer serves methods of Alluxio's protocol, with whatever messages a function has for
// each, until the test ends. It returns host:port. Who calls is not asked for.
func Answer(t testing.TB, answers func(method string) []wire.Message) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		if r.URL.Path == wire.Authenticate {
			w.Header().Set("Grpc-Status", "12") // not implemented
			return
		}
		for _, m := range answers(r.URL.Path) {
			prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m)))
			_, _ = w.Write(append(prefix, m...)) // a client that had enough is gone
		}
		w.Header().Set("Grpc-Status", "0")
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}
