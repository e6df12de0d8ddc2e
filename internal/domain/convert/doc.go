// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package convert puts what the API says into the words of the protocol between
// the gateway and the runtimes: items, sources and hooks of a Data or of a
// revision. What a runtime need not know, such as the command of an exec hook,
// is left out.
//
// It reads nothing and decides nothing. The gateway uses it, and the command
// line, which asks runtimes what a revision would move.
package convert
