// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package client speaks Alluxio's own protocol, gRPC over HTTP/2 without TLS: it asks a
// master for files and workers, and reads blocks from workers. It signs in as a user
// whom the servers believe, which is Alluxio's default, or not at all where they do not
// ask for it.
//
// It tries nothing a second time and trusts no server: sizes and offsets are checked,
// and what is read has exactly the length that was asked for. The source alluxio and
// the cache in front of other sources use it.
package client
