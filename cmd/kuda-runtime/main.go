// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	// The image has no certificates of its own.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/kuda-io/kuda/internal/delivery/fetchcmd"
	"github.com/kuda-io/kuda/internal/delivery/storecmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kuda-runtime:", err)
		code, ok := storecmd.ExitCode(err)
		if !ok {
			code = fetchcmd.ExitCode(err)
		}
		os.Exit(code)
	}
}
