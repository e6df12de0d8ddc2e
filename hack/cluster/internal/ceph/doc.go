// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ceph runs a real Ceph with its S3 service (RGW) for tests: one
// monitor, one OSD that keeps its objects in memory, and one gateway, from
// Debian's packages and all below one directory. It answers after some seconds.
//
// Only the gateway listens on the address that was asked for; monitor and OSD
// stay on the loopback interface. Nothing outlives the command: it is a server
// to test against, never one to keep data in.
package ceph
