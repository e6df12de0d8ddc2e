// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package state is the cluster's directory on disk: where each file lies, and
// the record of what was made. It lies outside /run on purpose, so that after
// a power cut teardown still knows what there was.
//
// The record is also the mark by which a directory is known to be ours:
// nothing is ever deleted from a directory that does not have one.
package state
