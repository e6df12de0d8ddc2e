// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcekind

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// The schema's default.
const defaultAlluxioPort = 19998

// cache is what describes a cache in front of a source.
type cache struct {
	message    *gatewayv1alpha1.SourceCache
	references []Reference
	problems   field.ErrorList
}

func newCache(fallback v1alpha1.CacheFallback) cache {
	return cache{message: &gatewayv1alpha1.SourceCache{Fallback: string(fallback)}}
}

// addAlluxio describes an Alluxio that has the source mounted.
func (c *cache) addAlluxio(m v1alpha1.AlluxioMount, at *field.Path) {
	at = at.Child("alluxio", "host")
	c.message.Alluxio = &gatewayv1alpha1.AlluxioMount{
		Host: m.Host, Port: cmp.Or(m.Port, defaultAlluxioPort), TimeoutSeconds: m.Timeout, Path: m.Path,
	}
	c.references = append(c.references, Reference{Kind: OtherServer, Name: m.Host, Field: at})
	c.problems = append(c.problems, hostProblems(m.Host, at)...)
}

// addProxy describes a proxy between the runtime and the server of a URL, which it can
// look into only without TLS.
func (c *cache) addProxy(p v1alpha1.CachingProxy, server string, at *field.Path) {
	at = at.Child("httpProxy", "url")
	c.message.HttpProxy = &gatewayv1alpha1.CachingProxy{Url: p.URL}
	c.references = append(c.references, Reference{Kind: HTTPServer, Name: p.URL, Field: at})
	if strings.HasPrefix(server, "https://") {
		c.problems = append(c.problems, field.Invalid(at, p.URL,
			"no proxy can keep what TLS protects; name the server by http://, or use the cache alluxio"))
	}
}

// addTo adds the cache to what describes its source.
func (c *cache) addTo(s *Source) *gatewayv1alpha1.SourceCache {
	s.References = append(s.References, c.references...)
	s.Problems = append(s.Problems, c.problems...)
	s.Cache = c.message
	return c.message
}

// s3Cache describes the cache of a source of S3.
func s3Cache(s *v1alpha1.SourceCache, endpoint string, at *field.Path) cache {
	c := newCache(s.Fallback)
	if s.HTTPProxy != nil {
		c.addProxy(*s.HTTPProxy, endpoint, at)
	}
	if s.Alluxio != nil {
		c.addAlluxio(*s.Alluxio, at)
	}
	return c
}

func hostProblems(host string, at *field.Path) field.ErrorList {
	if host == "" || strings.ContainsAny(host, "/ ") {
		return field.ErrorList{field.Invalid(at, host, "must be a host name or an address")}
	}
	return nil
}
