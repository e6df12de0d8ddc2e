// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-scheduler is kube-scheduler with the plugin DataLocality.
package main
