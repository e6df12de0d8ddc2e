// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodes is kubectl kuda nodes: which nodes hold which items of DataSets, with
// bytes, pins and age, and how much room their stores have. What it shows is computed by
// package insight/nodes; this one reads the flags and renders the View.
package nodes
