// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tree reads the files of the repository for the checks of its source:
// the tracked text files, and the Go files parsed, without types.
package tree
