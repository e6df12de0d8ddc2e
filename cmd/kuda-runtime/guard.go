// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// denyProcessAccess keeps the other processes of the pod away from this one. In a pod that
// shares its process namespace they see it, and as the same user they could read
// its credentials from its memory, and the store of all the namespace's pods
// through /proc/<pid>/root. The kernel forbids both, and tracing, for a process
// that must leave no core dump. Who has the capability CAP_SYS_PTRACE on the node
// is not kept away.
func denyProcessAccess() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process to others: %w", err)
	}
	return nil
}
