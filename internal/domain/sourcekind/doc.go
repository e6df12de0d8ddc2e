// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sourcekind describes each kind of source once: what it refers to, where
// its bytes come from, what is wrong with it, and the message in which runtimes are
// told of it. Injection, admission, the gateway, the controllers and the command line
// read the descriptions, so that none of them lists the kinds.
//
// It reads nothing and decides nothing: which right a reference needs, or where it is
// mounted, is decided by who reads it. What of a message names the bytes stands in the
// protocol (package item), and runtimes have their own table of how to open each
// kind. docs/writing-a-source.md says what a new kind needs.
package sourcekind
