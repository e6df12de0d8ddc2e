// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package frame is what all commands of the command line have in common: the
// connection to the cluster by kubectl's flags and files, what the terminal can
// show, printing as a table, JSON or YAML, completion of names, errors of one
// line, and exit codes.
//
// It knows no command. Commands take a *Frame, ask it for what they need when
// they run, and write to its streams only.
package frame
