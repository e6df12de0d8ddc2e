// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package soak holds the test of what Kuda listens with: the manager's gateway,
// the webhook and a runtime, each a process of its own, are flooded with connections
// and garbage while those that they serve go on asking. Its attackers are processes of their
// own, paced, and bound to one processor at the lowest priority: they stand for other
// machines, whose work costs the servers nothing.
//
// It runs for a minute as part of "make integration", and for five as "make soak".
// KUDA_SOAK is how long the flood lasts.
package soak
