// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"net/url"
	"os"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
)

// newPrincipal returns how to find out who reads. An access key is no secret, and
// could stand in any Secret, so its secret key is part of the principal. Temporary
// keys change all the time; their principal is what they are given for.
func newPrincipal(c Config, endpoint url.URL, region string) func(context.Context) (source.Secret, error) {
	switch {
	case c.Credentials != nil:
		return func(context.Context) (source.Secret, error) { return keyPrincipal(*c.Credentials) }
	case c.Keys != nil:
		return func(context.Context) (source.Secret, error) {
			return source.MakePrincipal("s3 keys", source.Secret(c.Keys.AccessKey), c.Keys.SecretKey), nil
		}
	case c.WebIdentity != nil:
		sts := stsEndpoint(*c.WebIdentity, endpoint, region)
		return func(context.Context) (source.Secret, error) { return webPrincipal(*c.WebIdentity, sts) }
	case c.Instance != nil:
		i := newInstance()
		return func(ctx context.Context) (source.Secret, error) { return i.readPrincipal(ctx, c.Instance.Endpoint) }
	default:
		return func(context.Context) (source.Secret, error) { return "", nil }
	}
}

func keyPrincipal(m source.Mount) (source.Secret, error) {
	access, err := m.Read(fileAccessKey)
	if err != nil {
		return "", err
	}
	secret, err := m.Read(fileSecretKey)
	if err != nil {
		return "", err
	}
	return source.MakePrincipal("s3 keys", access, secret), nil
}

// webPrincipal is the role with the subject of the token, which the platform
// mounts: its settings cannot claim another one.
func webPrincipal(w WebIdentity, sts string) (source.Secret, error) {
	token, err := os.ReadFile(w.TokenFile)
	if err != nil {
		return "", &source.Error{Op: "reading the service account's token", Class: source.ErrCredentials, Err: err}
	}
	return source.MakePrincipal("s3 web identity", source.Secret(w.RoleARN), source.Secret(sts), tokenPrincipal(token)), nil
}

// tokenPrincipal is who a token was issued to; of one that does not say so it is the
// token itself.
func tokenPrincipal(token []byte) source.Secret {
	text := strings.TrimSpace(string(token))
	if who, ok := source.TokenSubject(text); ok {
		return source.Secret(who)
	}
	return source.Secret(text)
}

// readPrincipal is the role of the machine, or whom the container's platform gives
// its credentials to.
func (i *instance) readPrincipal(ctx context.Context, given string) (source.Secret, error) {
	endpoint := i.credentialsEndpoint(given)
	fail := func(err error) (source.Secret, error) {
		return "", &source.Error{Op: "asking who the instance is at " + endpoint, Class: source.ErrCredentials, Err: err}
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return fail(err)
	}
	if strings.Trim(u.Path, "/") != "" {
		token, err := i.authorizationToken()
		if err != nil {
			return fail(err)
		}
		return source.MakePrincipal("s3 container", source.Secret(endpoint), tokenPrincipal([]byte(token))), nil
	}
	role, _, err := i.fetchRole(ctx, strings.TrimRight(endpoint, "/"))
	if err != nil {
		return fail(err)
	}
	return source.MakePrincipal("s3 instance", source.Secret(endpoint), source.Secret(role)), nil
}
