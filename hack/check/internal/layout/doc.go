// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package layout writes the table of all packages from their own comments, and
// compares the tables in the documents with the tree.
package layout
