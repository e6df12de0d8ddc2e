// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package minio runs a MinIO server on the host, where pods reach it at the
// bridge's address, and moves files in and out of it.
//
// The server is a separate program, built and run for tests only and never
// linked into anything of Kuda's; only its client library is used here.
package minio
