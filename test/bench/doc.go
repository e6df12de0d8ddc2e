// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures Kuda beside other programs that move data, on one
// machine, over loopback, in turn, and compares the result with targets. See
// docs/benchmark.md; 'make bench' runs it.
package main
