// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inventory tells the gateway what the node's store holds, so that pods
// are placed where their data is.
//
// All runtimes of a store run it, and one of them at a time looks and reports: the
// one that holds locks/inventory, which the kernel gives to another one when its
// process dies. It looks when the kernel tells that something came or went, and
// once a minute; it reports what has changed so far that it matters, at once after
// the gateway was reached, and every five minutes anyway. When nothing changes,
// nothing is sent and nothing but a few numbers is kept in memory.
//
// It changes nothing in the store and deletes nothing. What a report means is for
// the control plane to decide. Package main of the runtime runs it for stores of
// nodes; a store of one pod is not reported.
package inventory
