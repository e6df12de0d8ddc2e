// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"errors"
	"fmt"
	nethttp "net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
)

// The names of the files with credentials.
const (
	fileHeader   = "header"
	fileToken    = "token"
	fileUsername = "username"
	filePassword = "password"
	fileQuery    = "query"
)

// authenticator is a transport that adds credentials to requests to the
// configured server, and to no other: a redirect elsewhere, or to another port,
// goes without. They are not in the requests that it is given, so nothing that
// quotes those can quote them.
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
	if err := a.addCredentials(r); err != nil {
		return nil, err
	}
	return a.next.RoundTrip(r)
}

// addCredentials adds the credentials that there are: a query, and one of header,
// token, and user name with password.
func (a *authenticator) addCredentials(r *nethttp.Request) error {
	query, err := a.credentials.ReadOptional(fileQuery)
	if err != nil {
		return err
	}
	// A redirect leads to an address with a query of its own, or none.
	if query != "" && r.Response == nil {
		r.URL.RawQuery = strings.TrimPrefix(query.Reveal(), "?")
	}
	header, err := a.credentials.ReadOptional(fileHeader)
	if err != nil {
		return err
	}
	if header != "" {
		return a.setHeader(r, header)
	}
	token, err := a.credentials.ReadOptional(fileToken)
	if err != nil {
		return err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		return nil
	}
	user, err := a.credentials.ReadOptional(fileUsername)
	if err != nil {
		return err
	}
	if user == "" && query != "" {
		return nil
	}
	if user == "" {
		return a.credentialsError(a.credentials.Lacks(fmt.Sprintf("has no key %s, %s, %s or %s",
			fileToken, fileUsername, fileHeader, fileQuery)))
	}
	password, err := a.credentials.Read(filePassword)
	if err != nil {
		return err
	}
	r.SetBasicAuth(user.Reveal(), password.Reveal())
	return nil
}

// readPrincipal is who the credentials are of: everything that addCredentials sends.
func readPrincipal(m *source.Mount) (source.Secret, error) {
	if m == nil {
		return "", nil
	}
	var parts []source.Secret
	for _, key := range []string{fileQuery, fileHeader, fileToken, fileUsername, filePassword} {
		value, err := m.ReadOptional(key)
		if err != nil {
			return "", err
		}
		parts = append(parts, value)
	}
	return source.MakePrincipal("http", parts...), nil
}

func (a *authenticator) credentialsError(err error) error {
	return &source.Error{Op: "reading the credentials", Class: source.ErrCredentials, Err: err}
}

// ownHeaders are those by which this package asks for the right bytes.
var ownHeaders = []string{"Accept-Encoding", "Connection", "Content-Length", "Host", "If-Match", "Range", "Transfer-Encoding"}

// setHeader adds the header that a line describes. Messages do not quote it.
func (a *authenticator) setHeader(r *nethttp.Request, line source.Secret) error {
	name, value, ok := strings.Cut(line.Reveal(), ":")
	name, value = textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value)
	switch {
	case !ok || !isToken(name) || value == "" || strings.ContainsAny(value, "\r\n\x00"):
		return a.credentialsError(fmt.Errorf("key %s of %s is not one line of the form 'Name: value'; correct it", fileHeader,
			a.credentials.Name))
	case slices.Contains(ownHeaders, name):
		return a.credentialsError(fmt.Errorf("key %s of %s sets %s, which belongs to the request itself; use another header", fileHeader,
			a.credentials.Name, name))
	}
	r.Header.Set(name, value)
	return nil
}

// isToken reports whether a text can be the name of a header.
func isToken(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// maxRedirects is how often a server may send a request elsewhere.
const maxRedirects = 10

// checkRedirect follows redirects, but not from an encrypted server to one that
// is not, which an attacker on the way could impersonate.
func checkRedirect(r *nethttp.Request, via []*nethttp.Request) error {
	// It would carry the query of the address that redirects, which may be what
	// signs the request to that one.
	r.Header.Del("Referer")
	refused := func(reason string) error {
		return &source.Error{Op: "following a redirect", Class: source.ErrMisconfigured, Err: errors.New(reason)}
	}
	switch {
	case len(via) >= maxRedirects:
		return refused(fmt.Sprintf("the server redirects more than %d times; name the place where the file is", maxRedirects))
	case via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme == "http":
		return refused("the server redirects from https to http; name the place where the file is if that is wanted")
	}
	return nil
}
