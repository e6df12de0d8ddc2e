// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package datalocality is the scheduler plugin DataLocality: pods go where their
// data is.
//
// PreFilter finds what a pod wants (packages inject and placement) and asks the
// inverted index once what nodes hold of it (package placement/index); Filter, PreScore
// and Score look into the answer. A pod with placement Require is told which data
// is missing where, and is woken when a NodeStore brings it. For a pod without rules
// of its own PreFilter names the nodes near its data when one of them surely takes
// it, and the scheduler looks at no others (see prefilter_nodes.go).
//
// The plugin watches NodeStores, DataSets and revisions by itself and not through
// the scheduler's dynamic informers: the scheduler would wait for those before it
// places any pod at all, for ever where Kuda's CRDs are missing, and would keep
// every NodeStore a second time. So it wakes pods by itself, too (see waiting).
//
// It writes nothing to the cluster. kuda-scheduler is its only user.
package datalocality
