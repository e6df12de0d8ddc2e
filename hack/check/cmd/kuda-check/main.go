// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-check judges what Kuda ships: known vulnerabilities, the
// manifests and injected pods, the licences of what is linked, the names and comments
// of the source, the pages of the documentation.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kuda-io/kuda/hack/check/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cli.New().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
