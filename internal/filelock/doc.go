// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package filelock locks files with flock(2), which the kernel undoes when the
// process that holds the lock ends.
package filelock
