// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// maxOutput is how much of an answer is kept for people, in bytes.
const maxOutput = 1 << 10

// HTTPGet is an Action that calls the pod's own localhost, and no other host:
// redirects are not followed. A status from 200 to 399 is success.
type HTTPGet struct {
	Port int
	// Path may have a query.
	Path string
	// TLS is spoken without checking the certificate: it is the pod's own.
	TLS     bool
	Headers http.Header
}

// Run calls once.
func (g *HTTPGet) Run(ctx context.Context) (string, error) {
	req, err := g.newRequest(ctx)
	if err != nil {
		return "", err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(g.Port))
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // localhost of the pod, as kubelet probes do
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp4", address)
		},
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "", fmt.Errorf("calling %s: %w", req.URL, ErrNotListening)
	}
	if err != nil {
		return "", fmt.Errorf("calling the hook: %w", err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxOutput))
	output := strings.ToValidUTF8(strings.TrimSpace(string(body)), "�")
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return output, fmt.Errorf("calling %s: answered %s", req.URL, resp.Status)
	}
	return output, nil
}

func (g *HTTPGet) newRequest(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse("/" + strings.TrimLeft(g.Path, "/"))
	if err != nil {
		return nil, fmt.Errorf("reading the hook's path: %w", err)
	}
	u.Scheme = "http"
	if g.TLS {
		u.Scheme = "https"
	}
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(g.Port))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("making the hook's request: %w", err)
	}
	if g.Headers != nil {
		req.Header = g.Headers.Clone()
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	return req, nil
}
