// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"fmt"
	"time"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/cache"
)

// fallbackNever is CacheFallbackNever of the API, whose packages the runtime does not link.
const fallbackNever = "Never"

// Opened is a source that is open, with the cache in front of it.
type Opened struct {
	source.Driver
	// Cache is nil where there is none.
	Cache *cache.Cache
}

// Close closes both.
func (o *Opened) Close() error {
	if o.Cache != nil {
		_ = o.Cache.Close() // it only frees connections
	}
	return o.Driver.Close()
}

// cacheOf returns the settings of the cache in front of a source, nil without one.
func cacheOf(s *gatewayv1alpha1.Source) *gatewayv1alpha1.SourceCache {
	switch c := s.GetConfig().(type) {
	case *gatewayv1alpha1.Source_S3:
		return c.S3.GetCache()
	case *gatewayv1alpha1.Source_Http:
		return c.Http.GetCache()
	case *gatewayv1alpha1.Source_Hdfs:
		return c.Hdfs.GetCache()
	}
	return nil
}

// openCache opens the cache in front of a source.
func (o *Opener) openCache(c *gatewayv1alpha1.SourceCache, driver source.Driver) (*cache.Cache, error) {
	backend, origin, err := newBackend(c, driver)
	if err != nil {
		return nil, err
	}
	group := o.Caches
	if group == nil {
		group = cache.NewGroup()
	}
	opened := group.New(backend, origin)
	opened.Only = c.GetFallback() == fallbackNever
	return opened, nil
}

func newBackend(c *gatewayv1alpha1.SourceCache, driver source.Driver) (cache.Backend, source.Cacheable, error) {
	if m := c.GetAlluxio(); m != nil {
		if origin, ok := driver.(source.Mountable); ok {
			backend, err := cache.NewAlluxio(cache.Alluxio{
				Host: m.GetHost(), Port: int(m.GetPort()), Timeout: time.Duration(m.GetTimeoutSeconds()) * time.Second,
				Path: m.GetPath(), UserName: defaultUser,
			}, origin)
			return backend, origin, err
		}
	}
	if p := c.GetHttpProxy(); p != nil {
		if origin, ok := driver.(source.Proxied); ok {
			backend, err := cache.NewProxy(p.GetUrl(), origin)
			return backend, origin, err
		}
	}
	return nil, nil, &source.Error{Op: "opening a cache", Class: source.ErrMisconfigured,
		Err: fmt.Errorf("%s cannot be read through such a cache by this runtime; "+
			"update Kuda and restart the pod, or leave cache out", driver.Identity())}
}
