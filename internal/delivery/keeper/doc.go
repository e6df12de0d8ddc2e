// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keeper looks after all stores of a node that kuda-node made: one process per
// node, without any privilege, beside the pods whose stores they are.
//
// It knows exactly which pods live (package published) and removes what dead ones left,
// counts what all stores hold (census) and reports it to the gateway, evicts the least
// recently used across namespaces when the node has too little room (room), removes
// the stores of namespaces that are gone, and compares what is stored with what was
// delivered (examine).
//
// It downloads nothing, holds no credential of a tenant and serves no pod: everything works
// on without it. It believes nothing that it reads in a store, goes there through
// package confined only, and keeps to the locks of package store, so that a runtime
// beside it never loses what it uses. A change is seen at once, by what the kernel
// tells; when nothing changes, it does nothing.
package keeper
