// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verdict judges how far the delivery of a DataSet is: whether what its
// present spec asks for is done, goes on by itself, waits for a user, or will not
// come about without help.
//
// It looks at a status and at what pods report, and knows no cluster and no clock.
// kubectl kuda status -w ends by it, and doctor and the tables speak in its words, so
// that they do not contradict each other. It understands the statuses that managers of
// v0.1.0 write, too, which have no condition Reconciling.
package verdict
