// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"cmp"
	"context"
	"io/fs"
	"net"
	"net/url"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// snapshotKey names the snapshot of an item from an opened source in a store.
func snapshotKey(s *store.Store, i *gatewayv1alpha1.Item, identity string, p source.Provenance) (snapshot.Key, error) {
	names, err := podResolver.hostWord(p.Host)
	if err != nil {
		return snapshot.Key{}, err
	}
	principal, err := s.Principal(p.Principal.Reveal())
	if err != nil {
		return snapshot.Key{}, err
	}
	k := snapshot.Key{Source: identity, Way: source.JoinWay(p.Way, names), Principal: principal,
		Path: i.GetRemotePath(), Version: i.GetVersion(), Digest: i.GetDigest(),
		Include: i.GetInclude(), Exclude: i.GetExclude()}
	if i.Mode != nil {
		mode := fs.FileMode(i.GetMode()) & fs.ModePerm
		k.Mode = &mode
	}
	return k, nil
}

// throughCache adds a cache to where bytes come from: most checksums find accidents, and
// whoever runs a cache could make other bytes of the same sum. So what came through it is
// shared only with those whose bytes come through it too.
func throughCache(p source.Provenance, identity string) source.Provenance {
	p.Way = source.JoinWay(p.Way, "cache="+identity)
	if u, err := url.Parse(identity); err == nil && net.ParseIP(u.Hostname()) == nil {
		p.Host = cmp.Or(p.Host, u.Hostname())
	}
	return p
}

// NewRequest asks for an item from an opened source, for a delivery into a store.
func NewRequest(ctx context.Context, s *store.Store, i *gatewayv1alpha1.Item, src *Opened,
	progress func(transfer.Progress)) (transfer.Request, error) {
	p, err := src.Provenance(ctx)
	if err != nil {
		return transfer.Request{}, err
	}
	if src.Cache != nil {
		p = throughCache(p, src.Cache.Identity())
	}
	key, err := snapshotKey(s, i, src.Identity(), p)
	if err != nil {
		return transfer.Request{}, err
	}
	r := transfer.NewRequest(src.Driver, key, progress)
	r.Cache = src.Cache
	r.Direct = p.Direct() && !podResolver.hasHostAliases()
	return r, nil
}
