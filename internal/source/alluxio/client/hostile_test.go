// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// newServer serves methods of Alluxio's protocol over HTTP/2: each has the messages that it
// answers with. Who calls is not asked for.
func newServer(t *testing.T, answers func(method string) []wire.Message) *Client {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		if r.URL.Path == wire.Authenticate {
			w.Header().Set("Grpc-Status", "12")
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
	c := New(Options{Address: strings.TrimPrefix(s.URL, "http://"), User: "kuda", Dial: (&net.Dialer{}).DialContext})
	t.Cleanup(c.Close)
	return c
}

func workerMessage(host string, port int) wire.Message {
	return wire.Message{}.Nested(1, wire.Message{}.Nested(2, wire.Message{}.Text(1, host).Number(3, int64(port))))
}

func TestAWorkerDoesNotDecideHowMuchMemoryAMessageTakes(t *testing.T) {
	const size = 16 << 20
	var at *net.TCPAddr
	content := wire.Message{}.Nested(1, wire.Message{}.Nested(1, make(wire.Message, size)))
	c := newServer(t, func(method string) []wire.Message {
		if method == wire.Workers {
			return []wire.Message{workerMessage(at.IP.String(), at.Port)}
		}
		return []wire.Message{content}
	})
	at, _ = net.ResolveTCPAddr("tcp", c.options.Address) // what httptest listens on is one
	f := &wire.FileInfo{Path: "/a", Length: size, BlockSize: size, Blocks: []wire.Block{{}}}
	body, err := c.OpenRange(t.Context(), f, 0, size, 1)
	if err == nil {
		_, err = io.Copy(io.Discard, body)
		_ = body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a message of %d bytes was taken: %v", size, err)
	}
}

func TestAMasterDoesNotDecideHowMuchMemoryAnAnswerTakes(t *testing.T) {
	long := wire.Message{}.Nested(1, wire.Message{}.Text(3, strings.Repeat("a", maxAnswer+1)))
	c := newServer(t, func(string) []wire.Message { return []wire.Message{long} })
	if _, err := c.Status(t.Context(), "/a", wire.AnyAge); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

func TestWorkersThatAreGoneAreForgotten(t *testing.T) {
	c := New(Options{Address: "127.0.0.1:1", User: "kuda", Dial: (&net.Dialer{}).DialContext})
	defer c.Close()
	kept := c.worker("live:1")
	for i := range 3 * manyWorkers {
		address := fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)
		c.live = []string{address, "live:1"}
		c.worker(address)
	}
	if len(c.workers) > manyWorkers || c.worker("live:1") != kept {
		t.Errorf("%d workers are known", len(c.workers))
	}
}
