// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// master is a server that knows the callers who signed in since it was last asked to
// forget them.
type master struct {
	mu     sync.Mutex
	logins int
	forgot map[string]bool
	calls  int
}

// ServeHTTP implements http.Handler.
func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	if r.URL.Path == wire.Authenticate {
		m.mu.Lock()
		m.logins++
		m.mu.Unlock()
		writeMessage(w, wire.Message{}.Number(1, 1))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if channel := r.Header.Get("channel-id"); m.calls == 1 || m.forgot[channel] {
		m.forgot[channel] = true
		for name, values := range r.Header { // as Alluxio does, whose calls have the headers in lower case
			if name != "Te" && name != "User-Agent" && name != "Accept-Encoding" && name != "Content-Type" {
				w.Header()[name] = values
			}
		}
		w.Header().Set("Grpc-Status", "16")
		return
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	writeMessage(w, wire.Message{}.Nested(1, wire.Message{}.Text(3, "/a").Flag(9, true)))
}

func writeMessage(w http.ResponseWriter, m wire.Message) {
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...))
}

func TestAMasterThatForgotTheCallerIsAskedAgain(t *testing.T) {
	m := &master{forgot: map[string]bool{}}
	server := httptest.NewUnstartedServer(m)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	c := New(Options{Address: strings.TrimPrefix(server.URL, "http://"), User: "kuda", Dial: (&net.Dialer{}).DialContext})
	defer c.Close()
	f, err := c.Status(t.Context(), "/a", wire.Now)
	if err != nil || !f.Folder {
		t.Errorf("got %+v, %v", f, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logins != 2 || m.calls != 2 {
		t.Errorf("%d logins and %d calls", m.logins, m.calls)
	}
}
