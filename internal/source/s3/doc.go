// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package s3 reads from services that speak the S3 protocol: Amazon S3, MinIO,
// Ceph RGW and others. It signs, lists and finds credentials with minio-go, and
// opens ranges with If-Match, so bytes of two states of an object never mix.
package s3
