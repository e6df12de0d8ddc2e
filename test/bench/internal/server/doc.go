// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server starts the real storage servers that clients are measured
// against: MinIO, a light S3 gateway and nginx over plain files, an rsync
// daemon, and an HDFS. All listen on loopback and end with this process.
package server
