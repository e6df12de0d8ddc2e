// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/kuda-io/kuda/internal/version"
)

const (
	// timeLimit is how long a measurement may take, the answer's end included.
	timeLimit = 10 * time.Second
	// maxBody is how much of an answer is read.
	maxBody = 1 << 20
	// maxRedirects is how often an answer may say "look there", on the same host.
	maxRedirects = 3
)

// answer is a whole answer.
type answer struct {
	host   string
	status int
	body   []byte
}

// newClient returns a client that goes only where the guard lets it.
func newClient(g guard) *http.Client {
	dialer := &net.Dialer{Timeout: timeLimit, Control: g.checkDial}
	transport := &http.Transport{
		// No proxy: it would connect to what the guard refuses.
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    timeLimit,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // 1 MiB is 1 MiB
		DisableKeepAlives:      true, // measurements are far between
		Protocols:              new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	return &http.Client{Transport: transport, CheckRedirect: sameHost}
}

// sameHost follows redirects on one host, and none from https to http.
func sameHost(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	switch {
	case next.URL.Hostname() != first.Hostname():
		return fmt.Errorf("it redirects to another host, %s; if that is meant, give that address", next.URL.Host)
	case first.Scheme == "https" && next.URL.Scheme != "https":
		return errors.New("it redirects from https to http")
	case next.URL.User != nil:
		return errors.New("it redirects to an address with credentials")
	case len(before) > maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	}
	return nil
}

// sendRequest sends a request and reads its answer.
func (r *Runner) sendRequest(req *http.Request) (answer, error) {
	host := req.URL.Host
	if err := r.guard.checkHost(req.URL.Hostname()); err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", "kuda-manager/"+version.Version)
	req.Header.Set("Accept", "application/json, */*;q=0.5")
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("calling %s: %w", host, plainError(req.Context(), err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s: %w", host, plainError(req.Context(), err))
	}
	if len(body) > maxBody {
		return answer{}, fmt.Errorf("reading the answer of %s: it is larger than 1 MiB; ask for less", host)
	}
	return answer{host: host, status: resp.StatusCode, body: body}, nil
}

// plainError leaves out what the client wraps around a cause, and says what a time limit means.
func plainError(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var lookup *net.DNSError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("there was no complete answer within %s", timeLimit)
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Errorf("there is no host %s; a Service is called by name.namespace", lookup.Name)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("it was cut off")
	}
	return err
}
