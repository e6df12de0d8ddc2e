// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package alluxio is the driver for Alluxio as a source of its own. It reads by
// Alluxio's own protocol (package client): the master lists, workers have the bytes.
//
// What Alluxio says of a file proves nothing about the bytes that a worker holds: a
// worker may have read the file in the storage behind it while that was replaced. So
// every identity is weak: files are read from their start to their end, nothing is put
// together of two reads, and the digest of an item is what proves it. The master is told
// to look at the storage behind it for each listing, and for each file before and after
// it is read.
package alluxio
