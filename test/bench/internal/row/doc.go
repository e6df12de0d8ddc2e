// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package row has the rows of the benchmark: what is stored where, which
// clients fetch it, and what the figures are to be. Targets are those of
// docs/benchmark.md.
package row
