// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package doctor looks at an installation of Kuda, or at one DataSet in depth, and says what
// is wrong, why, and what to do.
//
// It reads a set of facts, with the caller's rights, and then judges them by pure functions;
// package advice knows what each reason means. What the caller may not read is a finding of
// its own and stops nothing. It changes nothing: its only write is a dry run that Kuda's
// webhook is to refuse.
package doctor
