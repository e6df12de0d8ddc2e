// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// itemKey names an item within an assignment.
type itemKey string

func keyOf(i *gatewayv1alpha1.Item) itemKey {
	return itemKey(i.GetNamespace() + "/" + i.GetName())
}

// contentMark names what an item's bytes are to be: two items with the same
// mark have the same snapshot. Credentials and ways to the source have no part
// in it.
func contentMark(i *gatewayv1alpha1.Item, s *gatewayv1alpha1.Source) string {
	return digest(struct {
		Source, Path, Version, Digest string
		Include, Exclude              []string
		Mode                          *uint32
	}{sourceIdentity(s), i.GetRemotePath(), i.GetVersion(), i.GetDigest(), i.GetInclude(), i.GetExclude(), i.Mode})
}

// noticeMark names what an application is told of an item: its bytes and its place.
func noticeMark(content, localPath string) string {
	return digest([]string{content, strings.Trim(localPath, "/")})
}

// assignmentMark names the whole that an application is told of.
func assignmentMark(notices []string) string {
	return digest(slices.Sorted(slices.Values(notices)))
}

func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

func sourceIdentity(s *gatewayv1alpha1.Source) string {
	switch c := s.GetConfig().(type) {
	case *gatewayv1alpha1.Source_S3:
		return "s3 " + c.S3.GetEndpoint() + " " + c.S3.GetBucket()
	case *gatewayv1alpha1.Source_Http:
		return "http " + c.Http.GetUrl()
	case *gatewayv1alpha1.Source_Hdfs:
		return "hdfs " + strings.Join(c.Hdfs.GetAddresses(), " ")
	case *gatewayv1alpha1.Source_Oci:
		return "oci " + c.Oci.GetRegistry() + " " + c.Oci.GetPlatform()
	case *gatewayv1alpha1.Source_Pvc:
		return "pvc " + c.Pvc.GetClaim()
	case *gatewayv1alpha1.Source_Plugin:
		return "plugin " + c.Plugin.GetName() + " " + digest(c.Plugin.GetConfig())
	default:
		return s.GetName()
	}
}

// snapshotKey names the snapshot of an item from an opened source.
func snapshotKey(i *gatewayv1alpha1.Item, s source.Source) store.Key {
	k := store.Key{Source: s.Identity(), Path: i.GetRemotePath(), Version: i.GetVersion(), Digest: i.GetDigest(),
		Include: i.GetInclude(), Exclude: i.GetExclude()}
	if i.Mode != nil {
		mode := fs.FileMode(i.GetMode()) & fs.ModePerm
		k.Mode = &mode
	}
	return k
}
