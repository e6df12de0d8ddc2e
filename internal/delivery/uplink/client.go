// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

const (
	defaultPingAfter   = 15 * time.Second
	defaultPingTimeout = 10 * time.Second

	// reportTimeout is above the time that the gateway takes for a report at most (30 s): a
	// report that is given up sooner is sent again, and makes a busy gateway busier. A
	// connection that is dead is noticed by its pings.
	reportTimeout = 40 * time.Second
	// maxMessage bounds what the gateway may send, in bytes.
	maxMessage = 16 << 20
)

// ErrToken says that the token cannot be read.
var ErrToken = errors.New("reading the gateway token")

// ErrAuthority says that the gateway is another installation's, as far as the pod can
// tell: what it trusts are the certificates of its birth and those announced since.
var ErrAuthority = errors.New("the gateway's certificate is signed by another authority than the one that this pod was given, " +
	"as when Kuda was uninstalled and installed again; restart this pod")

// Options of a Client.
type Options struct {
	// Address is the gateway's host:port. Required.
	Address string
	// CA has the certificates (PEM) to trust until the gateway announces newer ones.
	CA []byte
	// CAFile is where announced certificates are kept across restarts.
	CAFile string
	// CASource is a file with the certificates (PEM), which others keep up to date. It is
	// read again whenever the gateway is not accepted; then the client need not have any
	// to begin with.
	CASource string
	// TokenFile is read again for each call, because tokens rotate.
	TokenFile string
	// A gateway that says nothing for PingAfter is pinged, and given up when it
	// does not answer within PingTimeout. Default: 15 s, 10 s.
	PingAfter, PingTimeout time.Duration
	Log                    logr.Logger
}

// Client speaks with the gateway.
type Client struct {
	gateway gatewayv1alpha1connect.GatewayServiceClient
	trust   *trust
	log     logr.Logger
	http    *http.Transport
}

// New returns a client; it does not connect yet.
func New(o Options) (*Client, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's address: %w", err)
	}
	if o.PingAfter == 0 {
		o.PingAfter = defaultPingAfter
	}
	if o.PingTimeout == 0 {
		o.PingTimeout = defaultPingTimeout
	}
	t, err := newTrust(o.CA, o.CAFile, o.CASource)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13,
			ServerName: host,
			// The pool may change while the client lives, so VerifyConnection
			// does what crypto/tls would do with a fixed one.
			InsecureSkipVerify: true, //nolint:gosec // verified in VerifyConnection
			VerifyConnection:   func(cs tls.ConnectionState) error { return t.verifyConnection(host, cs) },
		},
		Protocols: new(http.Protocols),
		HTTP2:     &http.HTTP2Config{SendPingTimeout: o.PingAfter, PingTimeout: o.PingTimeout},
	}
	transport.Protocols.SetHTTP2(true)
	client := &http.Client{Transport: &bearer{base: transport, file: o.TokenFile}}
	return &Client{
		gateway: gatewayv1alpha1connect.NewGatewayServiceClient(client, "https://"+o.Address,
			connect.WithReadMaxBytes(maxMessage), connect.WithSendGzip(), connect.WithCompressMinBytes(1<<10)),
		trust: t,
		log:   o.Log,
		http:  transport,
	}, nil
}

// Report sends one report.
func (c *Client) Report(ctx context.Context, r *gatewayv1alpha1.ReportRequest) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	_, err := c.gateway.Report(ctx, connect.NewRequest(r))
	return err
}

// ReportStore says what the node's store has.
func (c *Client) ReportStore(ctx context.Context, r *gatewayv1alpha1.ReportStoreRequest) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	_, err := c.gateway.ReportStore(ctx, connect.NewRequest(r))
	return err
}

// RunHook has the gateway run an exec hook and returns its outcome.
func (c *Client) RunHook(ctx context.Context, r *gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
	resp, err := c.gateway.RunHook(ctx, connect.NewRequest(r))
	if err != nil {
		return nil, err
	}
	return resp.Msg, nil
}

// Close frees idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// bearer adds the token to each request.
type bearer struct {
	base http.RoundTripper
	file string
}

func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := os.ReadFile(b.file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return b.base.RoundTrip(req)
}

// verifyWith checks a peer's certificate against a pool.
func verifyWith(pool *x509.CertPool, host string, cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the gateway showed no certificate")
	}
	opts := x509.VerifyOptions{Roots: pool, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(opts)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w (%w)", ErrAuthority, err)
	}
	return err
}
