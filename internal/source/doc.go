// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package source says what a storage system looks like to the delivery engine:
// one interface that lists a file or a tree and opens ranges of its files, the
// classes of error that callers act on, and the few things that all drivers
// share (credentials, HTTP transport, the check of remote names).
//
// The drivers are the packages below it, one per protocol; package all is their
// registry, package retry decorates any of them, and package sourcetest holds
// the contract suite that each passes against a real server. Nothing here or
// below knows Kubernetes or writes to a disk.
package source
