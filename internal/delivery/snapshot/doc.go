// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot says what a snapshot is: the key that decides which bytes it
// has and whose they are, the ID that follows from the key, the manifest that
// lists its files, and the form in which the entries of a manifest are held in
// little memory.
//
// It reads and writes manifests and nothing else, takes no locks and knows no
// store. The store keeps snapshots, transfer makes them, podstate remembers which
// ones a pod needs, and inspect and storecmd show what they hold.
package snapshot
