// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"net/http"

	"github.com/kuda-io/kuda/internal/gateway/door"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/peer"
	"github.com/kuda-io/kuda/internal/gateway/share"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

// newDoor puts the checks of every request in front of the service.
func (s *Server) newDoor(handler http.Handler, paces *paces) http.Handler {
	calls, streams := share.New(callSlots), share.New(streamSlots)
	messages := gatewayv1alpha1.File_kuda_gateway_v1alpha1_gateway_proto.Messages()
	log := newSparing(s.options.Clock, s.options.Log)
	return door.New(door.Options{
		Procedures: map[string]door.Procedure{
			gatewayv1alpha1connect.GatewayServiceWatchProcedure: {
				Message: messages.ByName("WatchRequest"), MaxBytes: maxWatchBytes, Stream: true,
				Allow: paces.allowWatch, Calls: streams,
			},
			gatewayv1alpha1connect.GatewayServiceReportProcedure: {
				Message: messages.ByName("ReportRequest"), MaxBytes: maxReportBytes, Timeout: reportTimeout,
				Allow: paces.allowReport, Calls: calls,
			},
			gatewayv1alpha1connect.GatewayServiceRunHookProcedure: {
				Message: messages.ByName("RunHookRequest"), MaxBytes: maxHookBytes, Timeout: hookCallTimeout,
				Allow: paces.allowHook, Calls: calls,
			},
			gatewayv1alpha1connect.GatewayServiceReportStoreProcedure: {
				Message: messages.ByName("ReportStoreRequest"), MaxBytes: maxStoreBytes, Timeout: reportTimeout,
				Allow: paces.allowStore, Calls: calls, NodeStore: true,
			},
			gatewayv1alpha1connect.GatewayServiceWatchNodeProcedure: {
				Message: messages.ByName("WatchNodeRequest"), MaxBytes: maxWatchNodeBytes, Stream: true,
				Allow: paces.allowWatch, Calls: streams, Keeper: true,
			},
			gatewayv1alpha1connect.GatewayServiceReportNodeProcedure: {
				Message: messages.ByName("ReportNodeRequest"), MaxBytes: maxNodeBytes, Timeout: reportTimeout,
				Allow: paces.allowReport, Calls: calls, Keeper: true,
			},
		},
		Bounds:       table,
		Authenticate: s.authenticator.Authenticate,
		Admit:        s.roster.Admit,
		Enter:        peer.Enter,
		Accepted: func(ctx context.Context, p identity.Pod) error {
			return peer.Prove(ctx, p.Namespace, p.UID)
		},
		Volume:         newVolumes(s.options.Clock),
		Decoding:       share.New(decoding),
		BodyTimeout:    bodyTimeout,
		MessageTimeout: messageTimeout,
		Refused: func(r door.Refusal) {
			s.metrics.refusals.WithLabelValues(r.Reason).Inc()
			log.logRefusal(r)
		},
	}, handler)
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ConnContext:       peer.Context,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          newHTTPLogger(s.options.Log),
		TLSConfig: &tls.Config{
			MinVersion:     tls.VersionTLS13,
			NextProtos:     []string{"h2"},
			GetCertificate: s.options.Certificates.GetCertificate,
		},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          streamsPerConnection,
			MaxDecoderHeaderTableSize:     headerTable,
			MaxEncoderHeaderTableSize:     headerTable,
			MaxReadFrameSize:              readFrame,
			MaxReceiveBufferPerConnection: receiveBuffer,
			MaxReceiveBufferPerStream:     streamBuffer,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
			WriteByteTimeout:              messageTimeout,
		},
	}
}
