// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revision keeps the history of a DataSet's template as
// ControllerRevisions: one per distinct template, numbered in the order in
// which they became the current one, as StatefulSets and kubectl rollout do.
//
// It decides only; the DataSet controller reads and writes the objects. What a
// revision holds is never changed once it is written.
package revision
