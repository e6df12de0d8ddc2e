// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fetchcmd is the command "kuda-runtime fetch": one delivery without
// Kubernetes, from a source into a directory that appears as a whole. It runs
// the same engine as the sidecar, so it serves for trying out sources and for
// measuring.
package fetchcmd
