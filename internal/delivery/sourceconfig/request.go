// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"context"
	"io/fs"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/domain/item"
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

// NewRequest asks for an item from an opened source, for a delivery into a store.
func NewRequest(ctx context.Context, s *store.Store, i *gatewayv1alpha1.Item, src source.Driver, progress func(transfer.Progress)) (transfer.Request, error) {
	p, err := src.Provenance(ctx)
	if err != nil {
		return transfer.Request{}, err
	}
	key, err := snapshotKey(s, i, src.Identity(), p)
	if err != nil {
		return transfer.Request{}, err
	}
	r := transfer.NewRequest(src, key, progress)
	r.Direct = p.Direct() && !podResolver.hasHostAliases()
	return r, nil
}

// WayMark names what the settings say of the way to an item's bytes, beside what is
// part of the mark of the bytes themselves. An item whose mark stays and whose way
// changes is asked for again: by the old way another server may have answered.
// Credentials are not part of it: new ones do not cause another delivery.
func WayMark(s *gatewayv1alpha1.Source) string {
	ca := func(c *gatewayv1alpha1.CertificateAuthority) string { return c.GetConfigMap() + "/" + c.GetKey() }
	switch c := s.GetConfig().(type) {
	case *gatewayv1alpha1.Source_S3:
		return item.Digest([]any{"s3", c.S3.GetEndpoint(), c.S3.GetPathStyle(), c.S3.GetProxy(), ca(c.S3.GetCa())})
	case *gatewayv1alpha1.Source_Http:
		return item.Digest([]any{"http", c.Http.GetProxy(), ca(c.Http.GetCa())})
	case *gatewayv1alpha1.Source_Hdfs:
		k := c.Hdfs.GetKerberos()
		return item.Digest([]any{"hdfs", k.GetConfigMap(), k.GetKrb5ConfKey(), k.GetServicePrincipalName()})
	case *gatewayv1alpha1.Source_Oci:
		return item.Digest([]any{"oci", c.Oci.GetProxy(), ca(c.Oci.GetCa())})
	case *gatewayv1alpha1.Source_Plugin:
		return item.Digest([]any{"plugin", ca(c.Plugin.GetCa())})
	default:
		return item.Digest([]any{"other"})
	}
}
