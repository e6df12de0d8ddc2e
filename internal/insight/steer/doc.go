// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package steer changes how a rollout goes on: pause, resume, promote, abort, retry, undo.
//
// Whether a change makes sense now, and which revision undo means, are pure decisions. A
// Refusal says why not; what to do instead it names by verbs, which each caller says in
// its own words. What follows is one patch with the caller's rights.
package steer
