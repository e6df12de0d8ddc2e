// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package client knows how each client is called: Kuda, the programs it is
// measured beside with the settings they have by themselves and with those that
// made them fastest, and the ceiling. Settings are part of the result.
package client
