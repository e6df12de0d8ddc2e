// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package drivercmd

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/node/takeover"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// takeoverCommand is the argument with which this program takes over one store.
const takeoverCommand = "takeover"

// maxComplaint is how much is passed on of what a process complains about.
const maxComplaint = 400

// NewTakeover returns the command that the driver runs as a process of its own.
func NewTakeover() *cobra.Command {
	var o takeover.Options
	cmd := &cobra.Command{
		Use:    takeoverCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			unix.Umask(0o022)
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10) // pods that run come first
			return takeover.Run(o)
		},
	}
	for flag, value := range map[string]*string{"base": &o.Base, "pods": &o.Pods, "namespace": &o.Namespace, "uid": &o.UID} {
		cmd.Flags().StringVar(value, flag, "", "")
	}
	return cmd
}

// runTakeover takes over a store in a process with the rights that it needs and no others.
func runTakeover(o takeover.Options) error {
	cmd := exec.Command("/proc/self/exe", takeoverCommand, //nolint:gosec // this program; the driver has checked the names
		"--base", o.Base, "--pods", o.Pods, "--namespace", o.Namespace, "--uid", o.UID)
	cmd.Env = []string{"GOMEMLIMIT=64MiB"}
	cmd.Stdout = os.Stderr
	var complaint strings.Builder
	cmd.Stderr = &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: sidecar.RuntimeUser, Gid: sidecar.RuntimeUser},
		AmbientCaps: takeover.Capabilities,
	}
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(complaint.String())
		return fmt.Errorf("%w: %q", err, text[:min(len(text), maxComplaint)])
	}
	return nil
}
