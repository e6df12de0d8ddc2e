// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/kuda-io/kuda/internal/source"
)

// client asks one registry. It adds credentials and tokens to requests, and
// takes them off again where the registry redirects to another host.
type client struct {
	base *url.URL
	auth *auth.Client
	// anonymous tells that there are no credentials to offer.
	anonymous bool
}

func newClient(base *url.URL, credentials *source.Mount, transport http.RoundTripper) *client {
	return &client{
		base:      base,
		anonymous: credentials == nil,
		auth: &auth.Client{
			Client:     &http.Client{Transport: transport, CheckRedirect: checkRedirect},
			Header:     http.Header{"User-Agent": {"kuda"}},
			Credential: keeper{host: base.Host, mount: credentials}.credentialFor,
			Cache:      auth.NewCache(),
			ClientID:   "kuda",
		},
	}
}

// maxRedirects is how often a registry may send a request elsewhere.
const maxRedirects = 10

// checkRedirect follows redirects without saying where they come from: that would
// carry the query of the address, which may be what signs the request to it.
func checkRedirect(r *http.Request, via []*http.Request) error {
	r.Header.Del("Referer")
	if len(via) >= maxRedirects {
		return &source.Error{Op: "following a redirect", Class: source.ErrMisconfigured,
			Err: fmt.Errorf("the registry redirects more than %d times", maxRedirects)}
	}
	return nil
}

// requestContent asks for a manifest or a blob and returns a response of the statuses 200
// and 206.
func (c *client) requestContent(ctx context.Context, op, repository, kind, name string, header http.Header) (*http.Response, error) {
	ctx = auth.AppendRepositoryScope(ctx, registry.Reference{Registry: c.base.Host, Repository: repository}, auth.ActionPull)
	u := *c.base
	u.Path = "/v2/" + repository + "/" + kind + "/" + name
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
	}
	for name, values := range header {
		request.Header[name] = values
	}
	// Without this a server may compress, and ranges and lengths mean other bytes.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := c.auth.Do(request)
	if err != nil {
		return nil, c.classifyError(ctx, op, err)
	}
	if err := c.checkStatus(op, response); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response, nil
}

// classifyError gives an error of the client its class: one that is no answer of the
// registry, or one of the server that gives out tokens.
func (c *client) classifyError(ctx context.Context, op string, err error) error {
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return &source.Error{Op: op, Class: source.ErrDenied, Err: errAnonymous}
	}
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok && context.Cause(ctx) == nil {
		class := source.StatusClass(answer.StatusCode)
		if errors.Is(class, source.ErrDenied) {
			return c.deniedError(op, fmt.Sprintf("the registry gave no token: %v", answer))
		}
		if errors.Is(class, source.ErrNotFound) {
			class = source.ErrMisconfigured // the server of tokens, not the artifact
		}
		return &source.Error{Op: op, Class: class, Err: fmt.Errorf("asking for a token: %w", answer)}
	}
	return source.Wrap(ctx, op, err)
}

func (c *client) deniedError(op, text string) error {
	if c.anonymous {
		return &source.Error{Op: op, Class: source.ErrDenied, Err: fmt.Errorf("%s; %w", text, errAnonymous)}
	}
	return &source.Error{Op: op, Class: source.ErrDenied,
		Err: errors.New(text + "; check the Secret of secretRef, and that its user may pull from the repository")}
}

func (c *client) checkStatus(op string, response *http.Response) error {
	status := response.StatusCode
	if status == http.StatusOK || status == http.StatusPartialContent {
		if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
			return &source.Error{Op: op, Class: source.ErrMisconfigured,
				Err: fmt.Errorf("the registry sends it with Content-Encoding %s; make it, or the proxy before it, send the bytes as they are",
					encoding)}
		}
		return nil
	}
	class := source.StatusClass(status)
	if errors.Is(class, source.ErrDenied) {
		return c.deniedError(op, "the registry answered "+response.Status)
	}
	e := &source.Error{Op: op, Class: class, Err: errors.New("the registry answered " + response.Status)}
	if errors.Is(class, source.ErrNotFound) {
		e.Err = errors.New("the registry does not have it; check the repository, and the tag or digest, in remotePath")
	}
	if after := source.ParseRetryAfter(response.Header); after > 0 && source.Temporary(e) {
		e.Class, e.RetryAfter = source.ErrThrottled, after
	}
	return e
}

// openBlob opens length bytes of a blob of size bytes from offset on.
func (c *client) openBlob(ctx context.Context, op, repository string, blob digest.Digest,
	size, offset, length int64) (io.ReadCloser, error) {
	header := http.Header{}
	whole := offset == 0 && length == size
	if !whole {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	}
	response, err := c.requestContent(ctx, op, repository, "blobs", blob.String(), header)
	if err != nil {
		return nil, err
	}
	if err := checkRange(response, size, offset, length, whole); err != nil {
		response.Body.Close()
		return nil, &source.Error{Op: op, Class: source.ErrChanged, Err: err}
	}
	return source.NewReader(ctx, op, response.Body, length), nil
}

// errWhole is why a range cannot be had that the registry sent all of the blob for.
var errWhole = errors.New("the registry does not send parts of blobs, so that they are to be read as a whole")

// checkRange reports whether a response has the bytes that were asked for.
func checkRange(response *http.Response, size, offset, length int64, whole bool) error {
	if !whole && response.StatusCode == http.StatusOK && response.Header.Get("Content-Range") == "" &&
		(response.ContentLength == size || response.ContentLength < 0) {
		return errWhole
	}
	if n := response.ContentLength; n >= 0 && n != length {
		return fmt.Errorf("the registry answered with %d bytes instead of %d", n, length)
	}
	if whole && response.StatusCode == http.StatusOK {
		return nil
	}
	want := fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, size)
	if got := response.Header.Get("Content-Range"); got != want {
		return fmt.Errorf("the registry answered with the range %q instead of %q", got, want)
	}
	return nil
}

// supportsRanges asks for the first byte of a blob to find out whether the registry
// understands ranges.
func (c *client) supportsRanges(ctx context.Context, op, repository string, blob digest.Digest) (bool, error) {
	response, err := c.requestContent(ctx, op, repository, "blobs", blob.String(), http.Header{"Range": {"bytes=0-0"}})
	if err != nil {
		return false, err
	}
	response.Body.Close()
	return response.StatusCode == http.StatusPartialContent, nil
}
