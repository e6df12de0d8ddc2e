// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sanitize makes what runtimes say harmless before it becomes part of an
// object: texts are cut and freed of control characters, numbers and times kept
// within what can be, and words, names and digests have their form or are left
// out. It never fails and decides nothing. The gateway's packages report and
// nodestore use it, and package assignment.
package sanitize
