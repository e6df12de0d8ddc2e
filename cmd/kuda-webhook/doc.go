// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-webhook injects Kuda's runtime into pods and checks DataSets.
package main
