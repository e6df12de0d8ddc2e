// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package transfer moves a file or a tree from a source into the store, as fast
// as the network and the disk allow and within a fixed amount of memory.
//
// One Engine serves a process. A delivery takes the writer's lock of its
// snapshot, or waits for the process that has it; lists the source; checks the
// room; downloads files and ranges over several connections into preallocated
// files, hashing the bytes on their way; verifies; and commits. What was
// written is recorded in the store's journal, so a delivery that was cut off
// goes on where it was, if the source still has the same bytes.
//
// The package knows no Kubernetes and no protocol: the agent and the fetch
// command use it.
package transfer
