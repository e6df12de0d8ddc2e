// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storecmd is the command "kuda-runtime store": it lists, verifies and
// prunes the snapshots of a store, beside the runtimes that use it. It starts
// nothing and downloads nothing; what it takes away, the runtimes bring again
// when they need it.
package storecmd
