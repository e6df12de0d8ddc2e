// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package step tells the user what is going on: one line for each step with
// the time it took, and a sign of life from those that take long.
package step
