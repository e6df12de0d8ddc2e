// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package steer has the commands that change how a rollout goes on: pause, resume, promote,
// abort, retry, undo. Whether a change makes sense now, and the change itself, are of
// package insight/steer; this one reads flags and says what came of it.
package steer
