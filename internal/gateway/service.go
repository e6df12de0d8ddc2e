// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/attendance"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/gateway/hub"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/nodestore"
	"github.com/kuda-io/kuda/internal/gateway/report"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

var (
	errNoCaller  = errors.New("the call carries no identity")
	errNotYours  = errors.New("this Data is another pod's")
	errDataGone  = errors.New("the Data is gone")
	errLookups   = errors.New("too many questions about Data that are not there; slow down")
	errShutdown  = errors.New("the gateway is shutting down; connect again")
	errReconnect = errors.New("the stream has reached its age; connect again")
	errCameBack  = errors.New("the node came back; connect again and say what it holds")
	errReplaced  = errors.New("a newer stream of the pod took this one's place")
)

// service returns the calls.
type service struct {
	gatewayv1alpha1connect.UnimplementedGatewayServiceHandler

	cached  client.Reader
	live    client.Reader
	hub     *hub.Hub
	book    *attendance.Book
	reports *report.Queue
	stores  *nodestore.Queue
	hooks   *hookRunner
	bundle  func() []byte
	paces   *paces
	metrics *metrics
	// record may be nil.
	record Recorder
	clock  clock.WithTicker
	log    logr.Logger
	// closing is closed when the gateway shuts down.
	closing chan struct{}
}

var _ gatewayv1alpha1connect.GatewayServiceHandler = (*service)(nil)

// callerOf is who calls. The door has found it out.
func (s *service) callerOf(ctx context.Context) (identity.Pod, error) {
	caller, ok := identity.From(ctx)
	if !ok {
		return caller, connect.NewError(connect.CodeUnauthenticated, errNoCaller)
	}
	return caller, nil
}

// readData reads a Data of the caller's by name, fresh or perhaps from the cache.
func (s *service) readData(ctx context.Context, caller identity.Pod, name string, fresh bool) (*v1alpha1.Data, error) {
	var d v1alpha1.Data
	reader := s.cached
	if fresh {
		reader = s.live
	}
	err := reader.Get(ctx, types.NamespacedName{Namespace: caller.Namespace, Name: name}, &d)
	if !fresh && (apierrors.IsNotFound(err) || err == nil && assignment.PodUID(&d) != caller.UID) {
		// Another replica may have told the runtime of it first, and the cache may still
		// have the Data of an earlier pod that had the name.
		if !s.paces.allowLookup(caller.UID) {
			return nil, connect.NewError(connect.CodeResourceExhausted, errLookups)
		}
		d = v1alpha1.Data{}
		err = s.live.Get(ctx, types.NamespacedName{Namespace: caller.Namespace, Name: name}, &d)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, connect.NewError(connect.CodeNotFound, errDataGone)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("reading the Data: %w", err))
	case err != nil:
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("reading the Data: %w", err))
	case assignment.PodUID(&d) != caller.UID:
		return nil, connect.NewError(connect.CodePermissionDenied, errNotYours)
	}
	return &d, nil
}

// Report takes a report.
func (s *service) Report(ctx context.Context,
	request *connect.Request[gatewayv1alpha1.ReportRequest]) (*connect.Response[gatewayv1alpha1.ReportResponse], error) {
	response, err := s.submitReport(ctx, request.Msg)
	s.metrics.reports.WithLabelValues(callOutcome(err)).Inc()
	return response, err
}

func (s *service) submitReport(ctx context.Context,
	r *gatewayv1alpha1.ReportRequest) (*connect.Response[gatewayv1alpha1.ReportResponse], error) {
	caller, err := s.callerOf(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.readData(ctx, caller, r.GetData(), false)
	if err != nil {
		return nil, err
	}
	if err := s.reports.Submit(ctx, report.SubjectOf(d), report.Report{Request: r, Node: caller.Node}); err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(&gatewayv1alpha1.ReportResponse{}), nil
}

// RunHook runs a declared exec hook.
func (s *service) RunHook(ctx context.Context,
	request *connect.Request[gatewayv1alpha1.RunHookRequest]) (*connect.Response[gatewayv1alpha1.RunHookResponse], error) {
	caller, err := s.callerOf(ctx)
	if err != nil {
		return nil, err
	}
	// What is run must be what is declared now.
	d, err := s.readData(ctx, caller, request.Msg.GetData(), true)
	if err != nil {
		return nil, err
	}
	response, err := s.hooks.runHook(ctx, d, caller, request.Msg)
	s.metrics.hooks.WithLabelValues(hookOutcome(response, err)).Inc()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(response), nil
}
