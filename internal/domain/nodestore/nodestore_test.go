// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"fmt"
	"math"
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestDirectoriesStayWithinTheBoundOfTheSchema(t *testing.T) {
	var s v1alpha1.NodeStoreStatus
	for i := range maxDirectories + 1 {
		KeepDirectories(&s, v1alpha1.NamespaceStore{Namespace: "n", NamespaceUID: fmt.Sprint(i)})
	}
	if len(s.Directories) != maxDirectories {
		t.Errorf("%d directories, want %d", len(s.Directories), maxDirectories)
	}
}

func TestTotalsStayAtTheLargestNumber(t *testing.T) {
	s := v1alpha1.NodeStoreStatus{Stores: make([]v1alpha1.NamespaceStore, 2)}
	for i := range s.Stores {
		s.Stores[i].OmittedBytes, s.Stores[i].OmittedSnapshots = math.MaxInt64, math.MaxInt32
	}
	Sum(&s)
	if s.Bytes != math.MaxInt64 || s.Items != math.MaxInt32 {
		t.Errorf("totals: %d items, %d bytes", s.Items, s.Bytes)
	}
}
