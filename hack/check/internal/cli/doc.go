// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of kuda-check.
package cli
