// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version holds the version that the build puts into every binary.
package version

// Version of this build; "dev" when it was not set by the Makefile.
var Version = "dev"
