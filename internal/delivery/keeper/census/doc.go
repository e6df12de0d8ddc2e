// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package census reads what the stores of a node hold, without having a store open:
// snapshots and downloads, who needs them, and what of it can be evicted.
//
// A store belongs to the pods of a namespace, which may have put anything there. It is
// read through package confined, within bounds, and what cannot be read is named
// instead of ending the whole. Nothing is changed, and no lock is waited for.
//
// The keeper uses it. What the rules of a store are is said in package store, and what
// pods need in package podstate.
package census
