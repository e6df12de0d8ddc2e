// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cache reads files from a cache in front of a source: an Alluxio that has the
// source mounted, or an HTTP proxy that keeps what goes through it.
//
// A cache may have other bytes under the right name, length and entity tag: of an older
// file, of two files, or of none. So what it hands over here counts only once a checksum
// of the source proves it, which package transfer sees to; names, checksums and rights
// never come from a cache. A read is tried once, ends when no byte comes for a short
// time, and is then the source's; a breaker keeps a cache that fails from being asked for
// a while. The package keeps nothing on the disk and knows no Kubernetes.
package cache
