// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package remains is the controller that removes from nodes what namespaces that are
// gone left there. A NodeStore remembers the directories; when the namespace of one, by
// name and UID, is gone, the controller makes a pod on the node that removes it, one
// after the other on each node. The same pod closes the directory of the stores to other
// users of the node, and does so once on each node that has stores.
//
// The pods are in a namespace of their own, whose policy admits no others from the
// manager: package nodecmd of the runtime is what runs in them. They hold no
// token, no credential and no capability. The controller decides nothing about stores
// of namespaces that exist: those are their runtimes' to look after.
package remains
