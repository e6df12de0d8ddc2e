// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history is kubectl kuda history: the revisions of a DataSet in a table, as package
// insight/history knows them.
package history
