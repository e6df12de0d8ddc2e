// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package content makes the files that the benchmark moves, from a seed, and
// compares what arrived with them.
package content
