// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-kuda looks at DataSets and steers their rollouts. Called as
// kubectl-kuda it is a plugin of kubectl, as kuda it stands alone, and as
// kubectl_complete-kuda it completes what is typed after "kubectl kuda".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kuda-io/kuda/internal/cli"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	f := frame.New(frame.Streams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	code := cli.Run(ctx, f, os.Args)
	stop()
	os.Exit(code)
}
