// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keepercmd is the command "kuda-node keeper": flags, the connection to the
// gateway, probes and metrics around package keeper.
package keepercmd
