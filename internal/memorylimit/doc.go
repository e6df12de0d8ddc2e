// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memorylimit keeps the Go heap below the memory limit of the container.
//
// The kernel ends a process that exceeds its cgroup's limit; Go's garbage
// collector only works harder before that when it knows the limit. Set tells it
// nine tenths of the cgroup's, and leaves the rest to what the collector does not
// count. kuda-manager and kuda-webhook call it once, at the start. Find is for who bounds
// something else by the limit, as kuda-runtime does. The package
// reads cgroup v1 and v2, and changes nothing but the limit of the collector.
package memorylimit
