// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cgroup makes, empties and removes the cluster's control groups, on
// machines with cgroup v2, v1, or both.
//
// The groups are what teardown trusts most: the kernel keeps them, a process
// cannot leave them by itself, and containers stay in them when the shims that
// started them are long dead.
package cgroup
