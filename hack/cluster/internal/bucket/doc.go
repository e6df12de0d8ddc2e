// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bucket makes and fills the bucket that a server of S3 for tests begins
// with, whichever server it is, and says what its clients need to know.
package bucket
