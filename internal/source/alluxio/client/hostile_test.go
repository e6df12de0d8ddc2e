// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source/alluxio/alluxiotest"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// newClient returns a client of a server that says what a function does.
func newClient(t *testing.T, answers func(method string) []wire.Message) *Client {
	t.Helper()
	c := New(Options{Address: alluxiotest.Answer(t, answers), User: "kuda", Dial: (&net.Dialer{}).DialContext})
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
	c := newClient(t, func(method string) []wire.Message {
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
	c := newClient(t, func(string) []wire.Message { return []wire.Message{long} })
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
