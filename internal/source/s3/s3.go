// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"cmp"
	"context"
	"fmt"
	nethttp "net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/kuda-io/kuda/internal/source"
)

// defaultRegion is what requests are signed for where nothing names a region.
const defaultRegion = "us-east-1"

// Source is one bucket.
type Source struct {
	identity  string
	bucket    string
	endpoint  url.URL
	pathStyle bool
	// whole: the service was asked for a range and sent the whole object.
	whole atomic.Bool
	// follow tells that no region was given: the one that the service names is used.
	follow      bool
	credentials *credentials.Credentials
	// renewable tells that credentials can be asked for anew.
	renewable bool
	// denied is what to do when they are refused.
	denied    string
	transport *nethttp.Transport
	signing   atomic.Pointer[signing]
	// provenance is what is known before it is asked who reads, which principal
	// says.
	provenance source.Provenance
	principal  func(context.Context) (source.Secret, error)
	early      early
}

// signing is a client that signs for one region.
type signing struct {
	region string
	client minio.Core
}

// New returns the source that c describes. It reads the certificates and does
// not connect yet.
func New(c Config) (*Source, error) {
	endpoint, err := c.checkSettings()
	if err != nil {
		return nil, err
	}
	servers := []string{c.Endpoint}
	if c.WebIdentity != nil {
		servers = append(servers, c.WebIdentity.STSEndpoint)
	}
	transport, way, err := source.NewTransport(source.TransportConfig{CAFile: c.CAFile, CAName: c.CAName, Proxy: c.Proxy, Servers: servers})
	if err != nil {
		return nil, err
	}
	region := cmp.Or(c.Region, s3utils.GetRegionFromURL(*endpoint), defaultRegion)
	s := &Source{
		identity:    "s3://" + endpoint.Host + "/" + c.Bucket,
		bucket:      c.Bucket,
		endpoint:    *endpoint,
		pathStyle:   c.PathStyle,
		follow:      c.Region == "",
		credentials: newCredentials(c, *endpoint, region, transport),
		renewable:   c.WebIdentity != nil || c.Instance != nil,
		denied:      deniedAdvice(c),
		transport:   transport,
		provenance: source.Provenance{Way: source.JoinWay(source.PlainWord(endpoint), pathStyleWord(c), way),
			Host: source.PlainHost(endpoint, c.Proxy)},
		principal: newPrincipal(c, *endpoint, region),
	}
	client, err := s.newClient(region)
	if err != nil {
		return nil, configErrorf("%w", err)
	}
	s.signing.Store(&signing{region: region, client: minio.Core{Client: client}})
	return s, nil
}

func configErrorf(format string, args ...any) error {
	return &source.Error{Op: "opening an S3 source", Class: source.ErrMisconfigured, Err: fmt.Errorf(format, args...)}
}

// checkSettings returns the parsed endpoint of valid settings.
func (c Config) checkSettings() (*url.URL, error) {
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil || !isServer(endpoint) {
		return nil, configErrorf("endpoint %q is not a URL such as https://host:port", c.Endpoint)
	}
	if err := checkPlainURL("endpoint", endpoint); err != nil {
		return nil, err
	}
	if c.Bucket == "" {
		return nil, configErrorf("no bucket is given")
	}
	if err := c.checkCredentials(); err != nil {
		return nil, err
	}
	return endpoint, nil
}

// checkCredentials returns what is wrong with how requests are signed.
func (c Config) checkCredentials() error {
	ways := 0
	for _, given := range []bool{c.Credentials != nil, c.Keys != nil, c.WebIdentity != nil, c.Instance != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return configErrorf("give only one of a Secret, keys, a web identity and instance credentials")
	}
	if c.WebIdentity != nil {
		if c.WebIdentity.TokenFile == "" {
			return configErrorf("a web identity needs a file with its token")
		}
		if sts := c.WebIdentity.STSEndpoint; sts != "" {
			if u, err := url.Parse(sts); err != nil || !isServer(u) {
				return configErrorf("stsEndpoint %q is not a URL such as https://host:port", sts)
			}
		}
	}
	if c.Instance != nil && c.Instance.Endpoint != "" {
		if u, err := url.Parse(c.Instance.Endpoint); err != nil || !isServer(u) {
			return configErrorf("the endpoint of the instance's credentials %q is not a URL such as http://host", c.Instance.Endpoint)
		}
	}
	return nil
}

// checkPlainURL refuses the parts of an address that no request would have.
func checkPlainURL(what string, u *url.URL) error {
	switch {
	case u.User != nil:
		return configErrorf("%s carries a user; put the keys into the Secret of secretRef", what)
	case strings.Trim(u.Path, "/") != "":
		return configErrorf("%s has the path %q; a service that answers below a path is not supported: name its root", what, u.Path)
	case u.RawQuery != "" || u.Fragment != "":
		return configErrorf("%s has a ? or #; name http(s)://host:port only", what)
	}
	return nil
}

func isServer(u *url.URL) bool { return u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") }

// newClient returns a client that signs for a region; for "" it asks the service
// for the bucket's.
func (s *Source) newClient(region string) (*minio.Client, error) {
	lookup := minio.BucketLookupDNS
	if s.pathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.New(s.endpoint.Host, &minio.Options{
		Creds:        s.credentials,
		Secure:       s.endpoint.Scheme == "https",
		Transport:    &answers{next: s.transport, pause: pagePause},
		Region:       region,
		BucketLookup: lookup,
		MaxRetries:   1,
	})
	if err != nil {
		return nil, err
	}
	client.SetAppInfo("kuda", "v1alpha1")
	return client, nil
}

// Identity is "s3://host:port/bucket".
func (s *Source) Identity() string { return s.identity }

// Provenance names the scheme, the proxy, the certificates and who reads.
func (s *Source) Provenance(ctx context.Context) (p source.Provenance, err error) {
	p = s.provenance
	p.Principal, err = s.principal(ctx)
	return p, err
}

// pathStyleWord returns the word of the provenance's way for buckets that are a part of
// the path, "" where they are a part of the server's name.
func pathStyleWord(c Config) string {
	if c.PathStyle {
		return "path-style"
	}
	return ""
}

// Close frees idle connections.
func (s *Source) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
