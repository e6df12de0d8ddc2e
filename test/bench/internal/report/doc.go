// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report holds the result of the benchmark: what was measured, how it
// compares with the peers and the ceiling, which targets were reached, and with
// which versions on which machine. It is written as a table and as JSON.
package report
