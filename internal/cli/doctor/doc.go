// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package doctor is kubectl kuda doctor: it looks at an installation of Kuda,
// or at one DataSet in depth, and says what is wrong, why, and what to do.
//
// It reads a set of facts, with the user's rights, and then judges them by pure
// functions, for the command line and for the dashboard. Package advice knows what
// each reason means. What the user may not read is a finding of its own and stops
// nothing. It changes nothing: its only write is a dry run that Kuda's webhook is to
// refuse.
package doctor
