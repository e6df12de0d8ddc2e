// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process starts the cluster's processes, remembers which ones they
// are, and signals those and no others.
//
// A process id alone identifies no process: ids are used again, and after a
// reboot all of them are. An Identity therefore has the start time and the boot
// as well, and a signal goes through a pidfd that was checked against them.
//
// Processes are started by way of this same program (see Main): the child
// first joins its cgroups, and its namespaces, and only then becomes the
// program asked for. So there is no moment at which a process of the cluster
// runs outside a cgroup of the cluster, which is how teardown finds those that
// were never recorded.
package process
