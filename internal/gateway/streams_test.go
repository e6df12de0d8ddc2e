// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The race detector multiplies memory; what is measured here says nothing then.

//go:build !race

package gateway

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/gateway/identity/identitytest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// envStreams says how many streams are measured.
const envStreams = "KUDA_TEST_STREAMS"

// streams is how many are opened unless envStreams says otherwise: what one takes is the
// same with 200 as with 2,000.
const streams = 200

// streamMemory is what a stream may take of the gateway's process, in bytes: TLS, HTTP/2 and
// the stacks of three goroutines.
const streamMemory = 112 << 10

// TestAStreamTakesLittle: connections are of their own, as those of runtimes are.
func TestAStreamTakesLittle(t *testing.T) {
	count := streams
	if text := os.Getenv(envStreams); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	p := startProcess(t, envFleet+"=1")
	ctx, cancel := context.WithCancel(t.Context())
	var open, connected sync.WaitGroup
	defer func() { cancel(); open.Wait() }()
	watch := func(n int) {
		connected.Add(1)
		first := sync.OnceFunc(connected.Done)
		open.Go(func() {
			defer first()
			c := p.runtimeClient(t, tokenOf("fleet", n, identitytest.Good))
			stream, err := c.Watch(ctx, connect.NewRequest(&gatewayv1alpha1.WatchRequest{Datasets: []string{"models"}}))
			for err == nil {
				if !stream.Receive() {
					err = stream.Err()
					break
				}
				if len(stream.Msg().GetAssignments()) != 1 {
					t.Errorf("pod %d: %v", n, stream.Msg())
				}
				first()
			}
			if ctx.Err() == nil {
				t.Errorf("pod %d: %v", n, errors.Join(err, context.Cause(ctx)))
			}
		})
		if n%50 == 49 {
			connected.Wait()
		}
	}
	// The first ones have what is made once.
	for n := range 50 {
		watch(n)
	}
	before, begun := p.readStatus(t, "VmRSS:"), time.Now()
	for n := range count {
		watch(50 + n)
	}
	connected.Wait()
	grown := (p.readStatus(t, "VmRSS:") - before) / int64(count)
	t.Logf("each of %d streams takes %d KiB; all were there after %s", count, grown>>10, time.Since(begun).Round(time.Millisecond))
	if grown > streamMemory {
		t.Errorf("each takes %d bytes, at most %d are planned for", grown, streamMemory)
	}
}
