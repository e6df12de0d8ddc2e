// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package s3 reads from services that speak the S3 protocol: Amazon S3, MinIO,
// Ceph RGW and others. It signs and lists with minio-go, and opens ranges with
// If-Match, so bytes of two states of an object never mix.
//
// A large object costs one HEAD and its ranged GETs; a tree the pages of its
// listing and one GET (or its ranges) for each file. Nothing else is asked in
// the usual case: not the bucket's region, which is assumed until the service
// names another one, and not an object's version, which is used only when the
// object was overwritten meanwhile.
package s3
