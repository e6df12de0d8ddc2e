// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodestore is the controller that takes out of NodeStores what can no
// longer be believed: those whose node is gone or is another one of the same
// name, and entries that were observed in another boot, or before the node last
// became Ready, or of a namespace that is gone. Where their directories are it keeps,
// for package remains to remove them when their namespaces are gone.
//
// It runs on every replica of the manager: the node that goes may be the one that
// the leader is on. It adds nothing, and of two that take out the same the second
// finds it gone. What a node holds is written by the gateway. Both compute totals and
// directories by package domain/nodestore. Package placement/index has the rule for
// what is believed.
package nodestore
