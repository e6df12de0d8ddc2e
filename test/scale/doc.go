// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scale measures the control plane with many pods: a real etcd and API
// server, kuda-manager and kuda-webhook as processes of their own, and runtimes that are
// played but for their connection, which is the runtime's own (package uplink).
//
// "make bench-scale" runs it; flags of the test choose the sizes. It prints a table, and
// JSON where it is told a file. It compares nothing with targets: what a machine on which
// everything runs together says of latencies depends on what else runs there.
package scale
