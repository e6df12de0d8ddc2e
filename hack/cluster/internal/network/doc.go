// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package network makes the cluster's cables: one bridge on the host, and for
// each node a network namespace with one veth to that bridge. It also cuts and
// shapes those cables. It knows nothing of what runs on the nodes.
package network
