// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package index knows which nodes hold which data, and what that is worth to
// a pod.
//
// An Index is filled with NodeStores, and with nodes where those are to be
// believed only as long as their node is the same. A Demand is what one pod
// wants, looked up in it once: how many bytes each node holds, which zones have
// them, how much room there is. Score turns the facts of one node into points.
// Applies says which pods it is about.
//
// It reads no cluster and no clock, and what it decides is the same for the
// webhook (preferences in the pod), the scheduler's plugin, the preheat
// controller and the command line, which explains them. Docs: docs/placement.md.
package index
