// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package drivercmd

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/kuda-io/kuda/internal/node/driver/takeover"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// takeoverCommand is the argument with which this program takes over one store.
const takeoverCommand = "takeover"

// maxComplaint is how much of what the process complains about is passed on.
const maxComplaint = 400

// takeoverProcess is a takeover as a process of its own, with the rights that it needs and no
// others.
type takeoverProcess struct {
	cmd   *exec.Cmd
	files atomic.Int64
}

func newTakeover(ctx context.Context, o takeover.Options) *takeoverProcess {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", takeoverCommand,
		"--base", o.Base, "--pods", o.Pods, "--namespace", o.Namespace, "--uid", o.UID)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: sidecar.RuntimeUser, Gid: sidecar.RuntimeUser},
		AmbientCaps: takeover.Capabilities,
	}
	return &takeoverProcess{cmd: cmd}
}

// Run implements driver.Takeover.
func (p *takeoverProcess) Run() error {
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting the process: %w", err)
	}
	var complaint strings.Builder
	p.cmd.Stderr = &complaint
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("starting the process: %w", err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
			p.files.Store(n)
		}
	}
	if err := p.cmd.Wait(); err != nil {
		text := strings.TrimSpace(complaint.String())
		return fmt.Errorf("%w: %q", err, text[:min(len(text), maxComplaint)])
	}
	return nil
}

// Progress implements driver.Takeover.
func (p *takeoverProcess) Progress() string { return fmt.Sprintf("%d files so far", p.files.Load()) }
