// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/backoff"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const (
	firstPause = 200 * time.Millisecond
	// soonPause bounds the pauses while a gateway that is replaced comes back: a pod must
	// not wait out a long pause when it is there again.
	soonPause = 3 * time.Second
	// After soonFailures, about half a minute, it is away for longer: the pauses grow on.
	soonFailures = 20
	maxPause     = 15 * time.Second
	// A stream that lived this long was a good one: the next pause is short again.
	goodStream = 5 * time.Second
)

// Handler is told what a watch brings; its methods are called one at a time.
type Handler interface {
	// Desired is called with each message.
	Desired(*gatewayv1alpha1.WatchResponse)
	// Connected is called when the first message of a stream has come, and
	// when a stream that had one has ended.
	Connected(bool)
	// Unreached is called after each try to open a stream that brought nothing, with why.
	Unreached(error)
}

// Watch keeps a watch open until the context ends.
func (c *Client) Watch(ctx context.Context, req *gatewayv1alpha1.WatchRequest, h Handler) {
	c.keepOpen(ctx, func(ctx context.Context) (bool, error) { return c.watchOnce(ctx, req, h) }, h.Unreached)
}

// keepOpen opens a stream again and again until the context ends. once is a stream from its
// beginning to its end, and returns whether it brought anything.
func (c *Client) keepOpen(ctx context.Context, once func(context.Context) (bool, error), unreached func(error)) {
	failures := 0
	for ctx.Err() == nil {
		started := time.Now()
		received, err := once(ctx)
		if ctx.Err() != nil {
			return
		}
		if received && time.Since(started) >= goodStream {
			failures = 0
		}
		pause := Pause(failures)
		failures++
		switch {
		case err == nil || received:
			c.log.V(1).Info("gateway ended the watch", "pause", pause.String(), "reason", errText(err))
		default:
			unreached(err)
			c.log.Info("gateway not reached; the data stays as it is", "pause", pause.String(), "reason", errText(err))
		}
		if backoff.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// Pause returns how long to wait after that many failures: a random time, so
// that pods do not come back together. It grows up to three seconds, and for a gateway
// that stays away up to fifteen.
func Pause(failures int) time.Duration {
	limit := backoff.Doubled(firstPause, soonPause, failures)
	if failures > soonFailures {
		limit = backoff.Doubled(soonPause, maxPause, failures-soonFailures)
	}
	return rand.N(limit) + time.Millisecond
}

func (c *Client) watchOnce(ctx context.Context, req *gatewayv1alpha1.WatchRequest, h Handler) (received bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.gateway.Watch(ctx, connect.NewRequest(req))
	if err != nil {
		return false, err
	}
	defer func() {
		cancel()
		_ = stream.Close()
		if received {
			h.Connected(false)
		}
	}()
	for stream.Receive() {
		m := stream.Msg()
		if err := c.trust.updateBundle(m.GetCaBundle()); err != nil {
			c.log.Error(err, "announced certificates were not kept")
		}
		h.Desired(m)
		if !received {
			received = true
			c.log.Info("gateway connected")
			h.Connected(true)
		}
	}
	if err := stream.Err(); !errors.Is(err, io.EOF) {
		return received, err
	}
	return received, nil
}

func errText(err error) string {
	if err == nil {
		return "the stream ended"
	}
	return err.Error()
}
