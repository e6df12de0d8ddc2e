// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"cmp"
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// maxDirectories is the bound of the schema.
const maxDirectories = 1024

// KeepDirectories keeps of entries that are taken out of a status where their directories
// are: what is said of a store may be void while its directory is still on the node.
func KeepDirectories(s *v1alpha1.NodeStoreStatus, gone ...v1alpha1.NamespaceStore) {
	s.Directories = slices.Clone(s.Directories)
	for i := range gone {
		d := v1alpha1.StoreDirectory{Namespace: gone[i].Namespace, UID: gone[i].NamespaceUID}
		if len(s.Directories) < maxDirectories && !slices.Contains(s.Directories, d) {
			s.Directories = append(s.Directories, d)
		}
	}
	slices.SortFunc(s.Directories, func(a, b v1alpha1.StoreDirectory) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.UID, b.UID))
	})
}

// DropDirectories takes the directories of these entries, which speak for themselves, out of
// those that are remembered.
func DropDirectories(s *v1alpha1.NodeStoreStatus, entries ...v1alpha1.NamespaceStore) {
	s.Directories = slices.DeleteFunc(slices.Clone(s.Directories), func(d v1alpha1.StoreDirectory) bool {
		return slices.ContainsFunc(entries, func(e v1alpha1.NamespaceStore) bool {
			return e.Namespace == d.Namespace && e.NamespaceUID == d.UID
		})
	})
}
