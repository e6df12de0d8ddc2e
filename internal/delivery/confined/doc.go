// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package confined works in a directory tree that others write to, and who may be
// hostile: each step goes from one open directory to a name in it, no link is
// followed, and nothing is waited for. A pipe, a device, a lease or a lock that a
// stranger put there neither holds the caller nor leads it elsewhere. What is read
// is bounded, in bytes and in names.
//
// It knows nothing of stores. The keeper of kuda-node, which works in the stores of
// all namespaces of a node as their owner's user, uses it.
package confined
