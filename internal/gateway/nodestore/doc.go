// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodestore turns what runtimes report of their node's store into the
// status of the NodeStore.
//
// A runtime sits in a tenant's pod, so nothing in a report is believed beyond
// what it is about: namespace and node come from the caller's token, texts are
// cut and cleaned, and what has not the right form is left out. A report
// changes its own namespace's entry and no other, but for making room when the
// node's lists together are too long.
//
// Reports are written as seldom as they can be: all namespaces of a node
// in one write, the newest report of each, and nothing where nothing changed.
// The gateway uses it. What can no longer be believed is taken out by the
// NodeStore controller, not here.
package nodestore
