// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package takeover brings the snapshots of a store that pods mounted by hostPath,
// whose runtimes were root, over to the node's store of the same namespace, so that
// nothing is downloaded again:
//
//	<base>/<namespace>/<uid>         the earlier store; root's
//	<base>/@node/<namespace>/<uid>   the store; sidecar.RuntimeUser's
//
// The store gets directories of its own, and hard links of the files of complete
// snapshots, which become the runtime user's. It gets its name when it is whole. Pods
// of the earlier store go on: what they read stays where it is. When the last of
// them has left the node, the earlier store is removed.
//
// What is not sure stays behind, and is downloaded again: a snapshot in doubt, one
// with files that have another owner or links from elsewhere, or with anything but
// files, directories and links.
//
// All of it may have been made by an attacker. It runs as a process of its own, as the
// runtime user with three capabilities, follows no link, and may be killed at any
// instruction: the next one begins anew. The Supervisor of the driver's process begins it;
// package drivercmd runs it.
package takeover
