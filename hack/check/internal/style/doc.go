// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package style judges names and comments of Go code by their syntax alone: the
// verbs of doc comments, the share of functions with a name of one word, and
// types with too many methods.
package style
