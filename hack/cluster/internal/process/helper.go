// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"os/exec"
	"syscall"
	"time"
)

// Helper returns a command that does a piece of this program's own work, such
// as a compiler. Unlike a process of the cluster it ends when its context does.
// It is asked to, with all its children, so that it can clean up; some
// programs leave the signal to their children and go by what becomes of them.
func Helper(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}
