// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides, from an assignment and from what is on disk, what a pass has
// to do: which items to fetch, whether the view moves, which hooks to run. And it
// decides which DataSet has a place in the view that several want.
//
// It is pure. The agent and its workers carry out what it says.
package plan
