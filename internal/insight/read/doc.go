// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package read has the reads that several looks at a cluster share. It reads with the
// rights of its caller's client, and keeps nothing.
package read
