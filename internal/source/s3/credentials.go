// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	nethttp "net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// newCredentials returns how requests are signed.
func newCredentials(c Config, endpoint url.URL, region string, transport *nethttp.Transport) *credentials.Credentials {
	switch {
	case c.Credentials != nil:
		return credentials.New(&files{mount: *c.Credentials})
	case c.Keys != nil:
		return credentials.NewStaticV4(c.Keys.AccessKey, c.Keys.SecretKey.Reveal(), c.Keys.SessionToken.Reveal())
	case c.WebIdentity != nil:
		client := &nethttp.Client{Transport: transport}
		return credentials.New(&temporary{now: time.Now, fetch: fetchByToken(*c.WebIdentity,
			stsEndpoint(*c.WebIdentity, endpoint, region), client)})
	case c.Instance != nil:
		return credentials.New(&temporary{now: time.Now, fetch: newInstance().fetchFrom(c.Instance.Endpoint)})
	default:
		return credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
	}
}
