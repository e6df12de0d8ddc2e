// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy enforces NetworkPolicies on one node. It watches the policies,
// the namespaces and the pods, makes an nftables table of what they say for the
// pods of the node, and replaces the table whenever that changes.
//
// All traffic of pods is routed by their node, also between two pods of one node,
// so one hook sees it. What the node itself sends to its pods, such as the
// kubelet's probes, does not pass there and is always allowed, as Kubernetes says.
//
// Rules, which decides, is a pure function. Limits: IPv4 only; traffic of a pod to
// its own node is not restricted; connections that exist when a policy comes are
// kept; a pod's policies hold from the moment its address is in its status.
package policy
