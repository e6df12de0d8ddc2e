// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package s3proxy runs S3Proxy for tests: a gateway in Java that offers a
// directory as S3, with the rules of a file system for names. Gateways of this
// kind stand in front of storage that never was S3.
package s3proxy
