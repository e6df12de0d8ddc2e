// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crc computes the cyclic redundancy checks that storage systems keep of whole
// files, and puts them together of those of parts. They find accidents, not forgeries.
// The delivery engine compares files with them, and the HDFS driver makes one of the
// blocks'.
package crc
