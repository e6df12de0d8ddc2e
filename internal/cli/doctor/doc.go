// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package doctor is kubectl kuda doctor: it looks at an installation of Kuda, or at one
// DataSet in depth, and says what is wrong, why, and what to do. What it finds is of package
// insight/doctor; this one reads flags and prints the Report.
package doctor
