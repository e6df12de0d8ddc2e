// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package driver is the privileged part of kuda-node: a CSI node plugin that mounts
// into pods what is on their node already. It serves the kubelet, at one unix socket:
//
//	kuda-store   the node's store of the pod's namespace, for the runtime
//	kuda-view    the pod's view in that store, read-only, for its applications
//
// It downloads nothing, holds no credential, asks no API and keeps no state: what it
// has mounted is in the kernel's table, so it may be killed at any instruction. No
// running pod needs it.
//
// It trusts the kubelet and nothing else. Directories of stores belong to tenants:
// they are opened name by name, no link is followed, and below the directory of all
// stores the kernel itself holds the driver to the rights of sidecar.RuntimeUser.
// Everything is mounted by file descriptor. Nothing is ever deleted below a mount.
//
// Package drivercmd runs it; package takeover, a process of its own, brings snapshots
// over from stores that pods used before there was a driver. The code that runs with
// the driver's privilege is bounded by a test. docs/design/014-node-driver.md explains
// the choices.
package driver
