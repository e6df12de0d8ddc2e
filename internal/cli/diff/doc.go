// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diff is kubectl kuda diff: what changes between two revisions of a DataSet, or
// between a file and the cluster. What it shows is computed by package insight/diff; this
// one reads flags and files, and renders the Result.
package diff
