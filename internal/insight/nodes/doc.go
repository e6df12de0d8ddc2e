// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodes says which nodes hold which items of DataSets, with bytes, pins and age,
// and how much room their stores have.
//
// It reads NodeStores, nodes, DataSets and the revisions that new pods get, with the
// caller's rights; a View is computed from those alone, and its JSON is what the command
// line and the dashboard print. It changes nothing, and asks no runtime. Packages why and
// doctor use what it knows of nodes: how to read them, and why an entry is not believed.
package nodes
