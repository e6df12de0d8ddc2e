// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-runtime delivers data: as the sidecar of a pod, or once, from
// the command line.
package main
