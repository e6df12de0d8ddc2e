// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package topology names and numbers everything the cluster makes: nodes,
// links, addresses, ports, cgroups. It computes and never touches the machine.
//
// All host-side names start with "kuda", so that a person who meets one of
// them knows whose it is, and so that teardown can find them by name alone.
package topology
