// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package get is kubectl kuda get: the files that a pod has, in a table, as package
// insight/files finds them.
package get
