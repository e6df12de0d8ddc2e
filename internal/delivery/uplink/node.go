// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink

import (
	"context"
	"errors"
	"io"

	"connectrpc.com/connect"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// NodeHandler is told what a watch of a node brings; its methods are called one at a time.
type NodeHandler interface {
	// Told is called with each message.
	Told(*gatewayv1alpha1.WatchNodeResponse)
	// Connected is called when the first message of a stream has come, and when a stream
	// that had one has ended.
	Connected(bool)
}

// WatchNode keeps a watch of the caller's node open until the context ends.
func (c *Client) WatchNode(ctx context.Context, req *gatewayv1alpha1.WatchNodeRequest, h NodeHandler) {
	c.keepOpen(ctx, func(ctx context.Context) (bool, error) { return c.watchNodeOnce(ctx, req, h) }, func(error) {})
}

func (c *Client) watchNodeOnce(ctx context.Context, req *gatewayv1alpha1.WatchNodeRequest, h NodeHandler) (received bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.gateway.WatchNode(ctx, connect.NewRequest(req))
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
		h.Told(m)
		if !received {
			received = true
			c.log.V(1).Info("gateway connected")
			h.Connected(true)
		}
	}
	if err := stream.Err(); !errors.Is(err, io.EOF) {
		return received, err
	}
	return received, nil
}

// ReportNode says what stores of the node hold.
func (c *Client) ReportNode(ctx context.Context, r *gatewayv1alpha1.ReportNodeRequest) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	_, err := c.gateway.ReportNode(ctx, connect.NewRequest(r))
	return err
}
