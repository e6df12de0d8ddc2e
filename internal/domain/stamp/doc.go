// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stamp knows the annotations that name the users of a DataSet: who changed
// its spec last, and who set the request to its rollout. The webhook writes them by
// Annotations; whoever shows or keeps a name reads it by ChangedBy and RequestedBy.
//
// Each name comes with what it belongs to, the generation or the request, so that a
// change that the webhook did not see has no name, in place of that of the change
// before it. The policy kuda-dataset-users keeps users from writing a name other than
// their own while the webhook is away.
package stamp
