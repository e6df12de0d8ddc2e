// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storage defines how the storage servers of tests are run: in the
// foreground, below a directory, until the context ends. Each server has a
// package of its own (ceph, hdfs, …) with a Run; the command 'storage run' and,
// through it, the tests use them. MinIO, which the development cluster keeps
// running, has package minio.
package storage
