// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package room decides which snapshots of a node are evicted when its stores together
// are too large, or its disk is too full. It is pure: it knows what a census saw, and is
// told what became of each proposal.
//
// What a living pod needs, what a process holds a lease of and what is preheated is
// never proposed. Of the rest, the least recently used goes first across all
// namespaces, with one rule before that: while a store has more than its share, which is
// the same for all stores, stores within theirs lose nothing. A namespace that brings much,
// or touches what it has again and again, so takes from itself before it takes from
// others. Where what is above a share is in use, a quota is exceeded rather than kept at
// the cost of others; only a file system that is too full takes from all.
//
// The keeper uses it.
package room
