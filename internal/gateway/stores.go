// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/nodestore"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

var errNoNode = errors.New("the token does not say which node the pod is on, so nothing can be said of one")

var errKeeper = errors.New("the keeper of the node reports its stores, so pods need not")

// hasKeeper reports whether a keeper reported a node a moment ago. What is not known yet is
// not the case: the keeper's next report takes the place of what a pod said.
func (s *service) hasKeeper(ctx context.Context, node string) bool {
	var n v1alpha1.NodeStore
	if err := s.cached.Get(ctx, types.NamespacedName{Name: node}, &n); err != nil || n.Status.Keeper == nil {
		return false
	}
	return s.clock.Since(n.Status.Keeper.ObservedTime.Time) < v1alpha1.KeeperTrust
}

// ReportStore takes a report of what the caller's node holds for the caller's
// namespace.
func (s *service) ReportStore(ctx context.Context,
	request *connect.Request[gatewayv1alpha1.ReportStoreRequest]) (*connect.Response[gatewayv1alpha1.ReportStoreResponse], error) {
	err := s.reportStore(ctx, request.Msg)
	s.metrics.stores.WithLabelValues(callOutcome(err)).Inc()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&gatewayv1alpha1.ReportStoreResponse{}), nil
}

func (s *service) reportStore(ctx context.Context, r *gatewayv1alpha1.ReportStoreRequest) error {
	caller, err := s.callerOf(ctx)
	if err != nil {
		return err
	}
	if caller.Node == "" {
		return connect.NewError(connect.CodeFailedPrecondition, errNoNode)
	}
	if s.hasKeeper(ctx, caller.Node) {
		return connect.NewError(connect.CodePermissionDenied, errKeeper)
	}
	entry, err := nodestore.Entry(caller.Namespace, r, s.clock.Now())
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	// Before the write: a node that comes back during it must not be missed.
	s.hub.Reports(caller.UID, caller.Node)
	err = s.stores.Submit(ctx, caller.Node, entry)
	switch {
	case errors.Is(err, nodestore.ErrNoNode):
		return connect.NewError(connect.CodeFailedPrecondition, err)
	case err != nil:
		return connect.NewError(connect.CodeUnavailable, err)
	}
	return nil
}
