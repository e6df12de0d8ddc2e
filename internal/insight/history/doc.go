// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history says what was rolled out of a DataSet when, by whom, why, and how it
// ended. It joins the DataSet's own history with the ControllerRevisions that are still
// there; it is pure.
package history
