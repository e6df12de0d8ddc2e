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
// A plan is made in four parts, and each takes the values of the one before: facts
// (questions about the rollout and its pods, which change nothing), the phase
// (a table of events, and the only part that changes the state), the moves of
// that phase, and the plan. Each part has the file of its name; facts about a
// single pod are in gate, and what the phase's rows do is in transition. One rule
// has one file: budget (how many pods move at once, and in which order), steps,
// failure (policy and way back), prefetch, request, deadline, and wait (what a
// rollout waits for, and until when). limits holds what is asked for, with its
// defaults.
package rollout
