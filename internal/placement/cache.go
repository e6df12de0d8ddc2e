// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Cached is what the caches in front of a DataSet's sources hold of what new pods get, as
// the pod that filled them heard from them.
func Cached(d *v1alpha1.DataSet) index.Cache {
	c := index.Cache{Namespace: d.Namespace, DataSet: d.Name}
	s := d.Status.Preheat
	if s == nil || s.Cache == nil || s.Cache.Time == nil || s.Revision != cmp.Or(Revision(d), d.Status.UpdateRevision) {
		return c
	}
	c.Observed, c.Total = s.Cache.Time.Time, s.Cache.TotalBytes
	c.Hosts = make(map[string]int64, len(s.Cache.Holders))
	for _, h := range s.Cache.Holders {
		c.Hosts[h.Host] = h.Bytes
	}
	return c
}
