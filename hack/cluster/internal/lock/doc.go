// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lock keeps two commands from changing the cluster at once. The lock
// is an abstract socket: the kernel frees it whatever way its holder ends, and
// it leaves no file behind.
package lock
