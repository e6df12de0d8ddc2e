// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire has the messages of Alluxio's protocol (gRPC, as of 2.9) that are needed
// to read: the few fields of each that matter, written and read by their numbers. It
// does no I/O. What it reads is a server's and may be anything.
package wire
