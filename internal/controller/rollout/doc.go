// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout decides which pods get which revision of a DataSet, and when.
//
// It is a pure function of what is: the strategy, the two revisions and the
// state of every pod. It reads no clock and no cluster, so the same state leads
// to the same plan on any replica and after any restart, and a plan that was
// carried out in part is simply continued. The DataSet controller carries it out.
package rollout
