// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history shows the revisions of a DataSet: what was rolled out when,
// by whom, why, and how it ended. It joins the DataSet's own history with the
// ControllerRevisions that are still there.
package history
