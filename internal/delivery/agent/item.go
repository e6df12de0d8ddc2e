// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/content"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// itemKey names an item within an assignment.
type itemKey string

func keyOf(i *gatewayv1alpha1.Item) itemKey {
	return itemKey(i.GetNamespace() + "/" + i.GetName())
}

// noticeMark names what an application is told of an item: its bytes and its place.
func noticeMark(mark, localPath string) string {
	return content.Digest([]string{mark, strings.Trim(localPath, "/")})
}

// assignmentMark names the whole that an application is told of.
func assignmentMark(notices []string) string {
	return content.Digest(slices.Sorted(slices.Values(notices)))
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
