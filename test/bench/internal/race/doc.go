// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package race runs clients in turn, A B C, B C A, …, each into a fresh
// directory, so that what changes on the machine meanwhile hits all of them, and
// compares what each of them made with the source after its run.
package race
