// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package drivercmd is the command "kuda-node driver", and what this one runs as a
// process of its own, with less privilege: the takeover of earlier stores.
package drivercmd
