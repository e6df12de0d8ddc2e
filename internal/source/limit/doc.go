// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limit decorates sources so that what reads the same storage system
// shares what that system can take: so many connections, so many bytes a second,
// and a pause for all when it asks for one.
//
// What is per process and what is per node: Limits.Connections and
// Limits.BytesPerSecond are of the Group, and a process has one. So a limit for
// the storage system as a whole is that number times the processes that read.
// Limits.NodeConnections is shared by all processes of a node that have the same
// Options.Dir, through locked files that the kernel frees when a process dies.
// A pause after an answer such as 503 with Retry-After is per process: each one
// hears it by itself.
//
// Those who wait are served in turn: one request, or one piece of a body, of
// each user of the source, and in the order in which they came for one user. So
// a delivery of 10,000 files does not keep a small one waiting.
//
// One refusal among many answers delays the request that was refused, and not the
// others: large services refuse some of what they are asked at any time.
//
// Package transfer puts it between package retry, whose calls it delays, and the
// watchdog, for which a delay is no stall.
package limit
