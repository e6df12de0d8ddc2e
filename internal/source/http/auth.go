// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	nethttp "net/http"
	"net/url"

	"github.com/kuda-io/kuda/internal/source"
)

// The names of the files with credentials.
const (
	fileToken    = "token"
	fileUsername = "username"
	filePassword = "password"
)

// authenticator is a transport that adds credentials to requests to the
// configured server, and to no other: a redirect elsewhere, or from https to
// http, goes without.
type authenticator struct {
	base        *url.URL
	credentials *source.Mount
	next        nethttp.RoundTripper
}

func (a *authenticator) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	if a.credentials == nil || r.URL.Host != a.base.Host || r.URL.Scheme != a.base.Scheme {
		return a.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	token, err := a.credentials.ReadOptional(fileToken)
	if err != nil {
		return nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		return a.next.RoundTrip(r)
	}
	user, err := a.credentials.Read(fileUsername)
	if err != nil {
		return nil, err
	}
	password, err := a.credentials.Read(filePassword)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(user.Reveal(), password.Reveal())
	return a.next.RoundTrip(r)
}
