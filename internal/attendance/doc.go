// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package attendance says which pods' runtimes the gateway hears. A runtime whose
// process hangs, or that is cut off, says nothing of it, and what it reported before
// stays in its Data; only the replica of the gateway at the other end of its
// connection notices.
//
// Each replica keeps a Book of the streams that are open and of when something came
// over their connections last, and publishes the list of those it hears in a Lease of
// its own (Publisher). The leader reads the Leases of all replicas (Roll, Watcher):
// a pod that is in no list is not heard. Lists are short, and are written when they
// change, at most once a second; no object of a pod is written.
//
// The package decides nothing about Data; the Data controller does. No other client
// uses the Leases.
package attendance
