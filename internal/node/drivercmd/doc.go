// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package drivercmd is the command "kuda-node driver", and what this one runs as
// processes of their own: the takeover of earlier stores, which has less privilege,
// and holders of user namespaces.
package drivercmd
