// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sidecar

import "testing"

func TestTheStoreOfANamespaceIsNamedByItsUID(t *testing.T) {
	const uid = "5e9b6c1e-0b4f-4c53-8f0e-3a4a3f2a9f10"
	if got, want := NodeStoreRoot(uid), "/var/lib/kuda/"+uid; got != want {
		t.Errorf("the root is %s, not %s", got, want)
	}
	if got, want := NodeViewSubPathExpr(uid), uid+"/pods/$(KUDA_POD_UID)/view"; got != want {
		t.Errorf("the view is at %s, not %s", got, want)
	}
}

func TestTheEnvironmentNamesTheStore(t *testing.T) {
	if got := DefaultStoreRoot(); got != StoreRoot {
		t.Errorf("without the variable the root is %s", got)
	}
	t.Setenv(EnvStoreRoot, "/elsewhere")
	if got := DefaultStoreRoot(); got != "/elsewhere" {
		t.Errorf("with the variable the root is %s", got)
	}
}
