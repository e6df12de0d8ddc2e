// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diff says what changes between two templates of a DataSet: in its items and
// sources, in the files, and in bytes to move per node.
//
// The comparison of templates is pure. Files and bytes come from the runtimes, one pod per
// node, which ask the sources with the credentials that they have; no byte of a file is
// moved, and nothing is changed.
package diff
