// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"os/exec"
	"runtime"
)

// openBrowser opens an address by the program that the system has for that.
func openBrowser(ctx context.Context, address string) error {
	program, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // The address is this program's own.
	if err := command.Start(); err != nil {
		return err
	}
	go func() { _ = command.Wait() }()
	return nil
}
