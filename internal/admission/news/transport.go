// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package news

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kuda-io/kuda/internal/connlimit"
	"github.com/kuda-io/kuda/internal/drain"
)

// PeerName is what the certificates of replicas bear, and no other certificate of the
// authority does.
const PeerName = "kuda-webhook-peer"

const (
	pathHello   = "/hello"
	pathChanged = "/changed/"
	// maxConnections is many times that of replicas.
	maxConnections   = 128
	connectionBuffer = 16 << 10
	maxHeaderBytes   = 4 << 10
	exchangeTimeout  = 5 * time.Second
	idleTimeout      = time.Minute
	drainTimeout     = time.Second
	// idLength is that of rand.Text, and more.
	idLength = 64
)

// Identity proves a replica to the others.
type Identity struct {
	// Certificate returns one that bears PeerName.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Roots returns the certificates (PEM) that sign those of the replicas.
	Roots func() []byte
}

var errStranger = errors.New("the certificate is not one of a replica")

// verifyPeer checks a connection of which the handshake proved that the other end has the
// key of its certificate. The certificates of the authority are for servers; here both
// ends have one.
func (i Identity) verifyPeer(state tls.ConnectionState) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(i.Roots())
	if len(state.PeerCertificates) == 0 {
		return errStranger
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: pool, DNSName: PeerName, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errStranger, err)
	}
	return nil
}

func newClient(i Identity) *http.Client {
	return &http.Client{
		Timeout:       exchangeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: 2, MaxResponseHeaderBytes: maxHeaderBytes,
			DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				roots := x509.NewCertPool()
				roots.AppendCertsFromPEM(i.Roots())
				dialer := tls.Dialer{Config: &tls.Config{
					MinVersion: tls.VersionTLS13, ServerName: PeerName, RootCAs: roots,
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return i.Certificate(nil) },
				}}
				return dialer.DialContext(ctx, network, address)
			},
		},
	}
}

// callPeer calls one replica and returns its identity.
func (e *Exchange) callPeer(ctx context.Context, method, address, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+address+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("calling the replica at %s: %w", address, err)
	}
	response, err := e.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("calling the replica at %s: %w", address, err)
	}
	defer func() { _ = response.Body.Close() }()
	id, err := io.ReadAll(io.LimitReader(response.Body, idLength))
	switch {
	case err != nil:
		return "", fmt.Errorf("calling the replica at %s: %w", address, err)
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("calling the replica at %s: it responds with status %d", address, response.StatusCode)
	}
	return string(id), nil
}

func (e *Exchange) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathHello, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, e.id) })
	mux.HandleFunc("POST "+pathChanged+"{namespace}", func(w http.ResponseWriter, r *http.Request) {
		namespace := r.PathValue("namespace")
		if len(validation.IsDNS1123Label(namespace)) > 0 {
			http.Error(w, "this is no name of a namespace", http.StatusBadRequest)
			return
		}
		e.mu.Lock()
		listen := e.listen
		e.mu.Unlock()
		listen(namespace)
		_, _ = io.WriteString(w, e.id)
	})
	return mux
}

func (e *Exchange) serve(ctx context.Context) error {
	inner, err := connlimit.Listen(ctx, e.options.Address, connectionBuffer)
	if err != nil {
		return err
	}
	limited := connlimit.Limit(inner, maxConnections)
	server := &http.Server{
		Handler: e.handler(),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, GetCertificate: e.options.Identity.Certificate,
			ClientAuth: tls.RequireAnyClientCert, VerifyConnection: e.options.Identity.verifyPeer,
		},
		ReadHeaderTimeout: exchangeTimeout, ReadTimeout: exchangeTimeout, WriteTimeout: exchangeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ConnContext: limited.Context, ConnState: limited.Touch,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 is enough
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	return drain.Serve(ctx, server, e.options.Address, drainTimeout, func() error { return server.ServeTLS(limited, "", "") })
}
