// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package node starts and ends nodes. A node is a network namespace with a
// cable to the bridge, a mount namespace in which /run is empty and /var/lib
// and /var/log are the node's own, a cgroup, and in them containerd, the
// kubelet, kube-proxy and an enforcer of NetworkPolicies, with the paths they have on any other machine.
//
// A node ends the way a machine without power does: everything in its cgroup
// at once, containers included. Its namespaces go with its last process, and
// with them every mount and every pod's network. What stays is its disk.
package node
