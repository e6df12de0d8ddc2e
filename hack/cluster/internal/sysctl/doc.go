// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sysctl raises the machine's settings that a cluster needs, and puts
// back what was there before, also what the kubelets changed.
package sysctl
