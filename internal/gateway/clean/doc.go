// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clean makes what runtimes say harmless before it becomes part of an
// object: texts are cut and freed of control characters, numbers and times kept
// within what can be, and words, names and digests have their form or are left
// out. It never fails and decides nothing. Packages report and nodestore use it.
package clean
