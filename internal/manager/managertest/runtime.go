// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"context"
	"sync"
	"testing"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// BrokenVersion is the version that a played runtime cannot deliver.
const BrokenVersion = "broken"

// Runtime plays the runtime of a pod: it delivers at once whatever the gateway
// says, but for items of BrokenVersion, and keeps the newest state.
type Runtime struct {
	mu     sync.Mutex
	newest *gatewayv1alpha1.WatchResponse
}

// Newest is the last state that was streamed; nil before the first.
func (r *Runtime) Newest() *gatewayv1alpha1.WatchResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}

// StartRuntime plays the pod's runtime until the stream or the test ends.
func (m *Manager) StartRuntime(t *testing.T, c *Cluster, p *corev1.Pod, datasets ...string) *Runtime {
	t.Helper()
	return m.PlayRuntime(t, c, p, Delivery, datasets...)
}

// PlayRuntime is StartRuntime of a runtime that reports what the test says.
func (m *Manager) PlayRuntime(t *testing.T, c *Cluster, p *corev1.Pod,
	report func(*gatewayv1alpha1.Assignment) *gatewayv1alpha1.ReportRequest, datasets ...string) *Runtime {
	t.Helper()
	r := &Runtime{}
	gateway := m.GatewayFor(t, c, p)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		stream, err := gateway.Watch(ctx, connect.NewRequest(&gatewayv1alpha1.WatchRequest{Datasets: datasets}))
		if err != nil {
			return
		}
		defer func() { _ = stream.Close() }()
		for stream.Receive() {
			r.mu.Lock()
			r.newest = stream.Msg()
			r.mu.Unlock()
			for _, a := range stream.Msg().GetAssignments() {
				// The next state repeats what could not be reported.
				if _, err := gateway.Report(ctx, connect.NewRequest(report(a))); err != nil && ctx.Err() != nil {
					return
				}
			}
		}
	}()
	return r
}

// Delivery is the report of a runtime that has done all it can.
func Delivery(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.ReportRequest {
	r := &gatewayv1alpha1.ReportRequest{Data: a.GetData(), Revision: a.GetRevision(), CurrentRevision: a.GetRevision(),
		Withdrawn: a.GetWithdraw()}
	for _, item := range a.GetItems() {
		status := &gatewayv1alpha1.ItemStatus{
			Namespace: item.GetNamespace(), Name: item.GetName(), Version: item.GetVersion(),
			Phase: gatewayv1alpha1.Phase_PHASE_SUCCESS, Bytes: 10, TotalBytes: 10,
			Digest: "xxh3:0123456789abcdef", Origin: gatewayv1alpha1.Origin_ORIGIN_SOURCE,
		}
		if item.GetVersion() == BrokenVersion {
			status.Phase, status.Digest = gatewayv1alpha1.Phase_PHASE_FAILED, ""
			status.Reason, status.Message = "NotFound", "nothing is stored at "+item.GetRemotePath()
		}
		r.Items = append(r.Items, status)
	}
	if p := a.GetPrefetch(); p != nil {
		r.Prefetch = &gatewayv1alpha1.PrefetchStatus{Revision: p.GetRevision(), Phase: gatewayv1alpha1.Phase_PHASE_SUCCESS,
			Bytes: 10, TotalBytes: 10}
	}
	return r
}
