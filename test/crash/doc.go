// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crash kills a process that does what a runtime does — deliver items
// into a store, switch a view to them, evict what is old — at random moments of
// each phase, and lets its storage server misbehave. After each kill it compares
// every byte that a reader could be served with what the server would send.
//
// With the build tag "powercut" it also cuts the power of a disk: the process works
// on a file system whose disk logs its writes and flushes, and afterwards the disk is
// made again as a cut at some point would have left it, without any part of what was
// not flushed. "make powercut" runs that, as root, and shows with a process that
// forgets its flushes that the harness would find them missing.
//
// It has tests only, with the build tag "integration". They take their size from
// the environment; "make crash" runs them at full size.
package crash
