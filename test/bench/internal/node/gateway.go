// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

// Gateway says the same to every runtime that asks.
type Gateway struct {
	gatewayv1alpha1connect.UnimplementedGatewayServiceHandler

	// Addr is its host:port, CA the certificate (PEM) that it shows.
	Addr string
	CA   []byte

	server *http.Server

	mu      sync.Mutex
	desired *gatewayv1alpha1.WatchResponse
	changed chan struct{}
	streams int
	failed  string
}

// NewGateway starts one on loopback that wants nothing yet.
func NewGateway() (*Gateway, error) {
	pair, ca, err := certificate()
	if err != nil {
		return nil, fmt.Errorf("making the gateway's certificate: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &Gateway{Addr: l.Addr().String(), CA: ca, desired: &gatewayv1alpha1.WatchResponse{}, changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle(gatewayv1alpha1connect.NewGatewayServiceHandler(g))
	g.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: time.Minute,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}},
		ErrorLog:          log.New(io.Discard, "", 0), // runtimes that are stopped cut their connection
	}
	go func() { _ = g.server.ServeTLS(l, "", "") }() // ends with Close
	return g, nil
}

// certificate makes one for loopback that signs itself.
func certificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "kuda benchmark"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca, nil
}

// Close cuts all connections.
func (g *Gateway) Close() error { return g.server.Close() }

// Want tells all runtimes what to have from now on.
func (g *Gateway) Want(a *gatewayv1alpha1.Assignment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.desired = &gatewayv1alpha1.WatchResponse{Assignments: []*gatewayv1alpha1.Assignment{a}}
	close(g.changed)
	g.changed = make(chan struct{})
}

// Streams returns how many runtimes listen.
func (g *Gateway) Streams() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.streams
}

// Failed returns what a runtime last said went wrong, or "".
func (g *Gateway) Failed() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// Watch implements the service.
func (g *Gateway) Watch(ctx context.Context, _ *connect.Request[gatewayv1alpha1.WatchRequest],
	stream *connect.ServerStream[gatewayv1alpha1.WatchResponse]) error {
	g.count(1)
	defer g.count(-1)
	for {
		g.mu.Lock()
		desired, changed := g.desired, g.changed
		g.mu.Unlock()
		if err := stream.Send(desired); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (g *Gateway) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.streams += n
}

// Report implements the service.
func (g *Gateway) Report(_ context.Context,
	r *connect.Request[gatewayv1alpha1.ReportRequest]) (*connect.Response[gatewayv1alpha1.ReportResponse], error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, item := range r.Msg.GetItems() {
		if item.GetPhase() == gatewayv1alpha1.Phase_PHASE_FAILED {
			g.failed = item.GetReason() + ": " + item.GetMessage()
		}
	}
	return connect.NewResponse(&gatewayv1alpha1.ReportResponse{}), nil
}
