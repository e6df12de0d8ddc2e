// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodes is kubectl kuda nodes: which nodes hold which items of DataSets,
// with bytes, pins and age, and how much room their stores have.
//
// It reads NodeStores, nodes, DataSets and the revisions that new pods get, with
// the user's rights; a View is computed from those alone, and rendering is a
// function of the View. It changes nothing, and asks no runtime. Package why and
// package doctor use what it knows of nodes: how to read them, and why an entry
// is not believed.
package nodes
