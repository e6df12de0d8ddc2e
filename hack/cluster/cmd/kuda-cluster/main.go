// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-cluster runs a real Kubernetes cluster of several nodes on one
// machine, for developing and testing Kuda.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kuda-io/kuda/hack/cluster/internal/cli"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == process.LaunchArgument {
		os.Exit(process.Main())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cli.New().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
