// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package peer brings the programs that Kuda is measured beside: Go programs
// from modules with pinned versions (test/bench/peers), Python packages with
// pinned versions, and packages of Debian, whose version is written down. What
// was built is kept in Kuda's cache, by version.
package peer
