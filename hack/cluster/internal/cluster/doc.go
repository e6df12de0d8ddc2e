// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster puts the parts together: it brings the whole cluster up,
// says how it is, and takes it down without leaving anything behind.
package cluster
