// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package alluxiotest starts a real Alluxio for tests, and disturbs it. Only tests
// import it.
package alluxiotest
