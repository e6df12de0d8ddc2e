// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package steer has the commands that change how a rollout goes on: pause,
// resume, promote, abort, retry, undo. Whether a command makes sense now, and
// which revision undo means, are pure decisions; what follows is one patch with
// the user's rights.
package steer
