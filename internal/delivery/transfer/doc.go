// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package transfer moves a file or a tree from a source into the store, as fast
// as the network and the disk allow and within a fixed amount of memory.
//
// One Engine serves a process. A delivery takes the writer's lock of its
// snapshot, or waits for the process that has it; lists the source; checks the
// room; shares what older snapshots have (delta.go); downloads the rest over
// several connections into preallocated files, hashing the bytes on their way;
// compares them with what the source promised (check.go); and commits. What was
// written is recorded in the store's journal, so a delivery that was cut off
// goes on where it was, if the source still has the same bytes.
//
// Files are cut into spans, which a queue hands out to two classes of
// connections: wide ones with large buffers for ranges, small ones for small
// files. How many are busy is found by trying (climb.go), up to what the buffers
// allow. At the end, a span that lags behind the others is asked for a second
// time (hedge.go); both readers supply one writer (span.go).
//
// The package knows no Kubernetes and no protocol: the agent and the fetch
// command use it.
package transfer
