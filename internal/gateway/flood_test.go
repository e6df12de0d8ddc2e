// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestTheGatewaySpeaksHTTP2Only(t *testing.T) {
	p := startProcess(t)
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		c, err := tls.Dial("tcp", p.address, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: p.roots, ServerName: "gateway.test",
			NextProtos: protocols})
		if err != nil {
			continue // refused in the handshake
		}
		_ = c.SetDeadline(time.Now().Add(15 * time.Second))
		_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer, _ := io.ReadAll(c)
		if strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Errorf("%v: %s", protocols, answer)
		}
		_ = c.Close()
	}
}
