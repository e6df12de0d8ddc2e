// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line, kubectl kuda: it puts the commands of its
// subpackages under one root. Each command is a thin adapter around pure view
// models and decisions; it has the rights of the user and no others.
package cli
