// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crash kills a process that does what a runtime does — deliver items
// into a store, switch a view to them, evict what is old — at random moments of
// each phase, and lets its storage server misbehave. After each kill it compares
// every byte that somebody could be served with what the server would send.
//
// It has tests only, with the build tag "integration". They take their size from
// the environment; "make crash" runs them at full size.
package crash
