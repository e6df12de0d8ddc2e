// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout decides which pods get which revision of a DataSet, and when.
//
// It is a pure function of what is: the strategy, the two revisions, the state of
// every pod, the time, and the little that earlier plans remembered (the
// DataSet's status.rollout). It reads no clock and no cluster, so the same state
// leads to the same plan on any replica and after any restart, and a plan that
// was carried out in part is simply continued. The DataSet controller carries it
// out. The rules, and why they are so, are in docs/design/007-rollout.md.
//
// One rule has one file: stable (which revision is the stable one), gate (when a
// pod counts as available, updated or failed), notstarted (pods without a part in
// it), budget (which pods move, and how
// many at once), steps, failure (policy and way back), prefetch, request,
// deadline; state is what they remember, and plan puts them together.
package rollout
