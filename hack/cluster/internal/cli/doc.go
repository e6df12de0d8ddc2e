// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of kuda-cluster: it reads flags, takes the
// lock where a command changes the cluster, and calls the package that does
// the work.
package cli
