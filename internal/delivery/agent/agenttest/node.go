// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// WatchNode implements the service: all directories that are asked about are gone.
func (g *Gateway) WatchNode(ctx context.Context, req *connect.Request[gatewayv1alpha1.WatchNodeRequest],
	stream *connect.ServerStream[gatewayv1alpha1.WatchNodeResponse]) error {
	if err := g.checkToken(req.Header()); err != nil {
		return err
	}
	if err := stream.Send(&gatewayv1alpha1.WatchNodeResponse{Gone: req.Msg.GetDirectories()}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// ReportNode implements the service. A report of a keeper of the version "refused" is.
func (g *Gateway) ReportNode(_ context.Context,
	req *connect.Request[gatewayv1alpha1.ReportNodeRequest]) (*connect.Response[gatewayv1alpha1.ReportNodeResponse], error) {
	if err := g.checkToken(req.Header()); err != nil {
		return nil, err
	}
	if req.Msg.GetKeeperVersion() == "refused" {
		return nil, connect.NewError(connect.CodePermissionDenied, errors.New("refused"))
	}
	return connect.NewResponse(&gatewayv1alpha1.ReportNodeResponse{}), nil
}
