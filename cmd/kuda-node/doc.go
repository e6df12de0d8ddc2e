// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-node is what Kuda runs on each node: the driver, which mounts the
// node's stores into pods, and what looks after these stores.
package main
