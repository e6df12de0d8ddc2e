// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kuda-io/kuda/test/bench/internal/ceiling"
)

func main() {
	// The ceiling is a client like the others: a process of its own.
	if len(os.Args) == 4 && os.Args[1] == "ceiling" {
		exit(receive(os.Args[2], os.Args[3]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	exit(err)
}

func receive(job, dir string) error {
	j, err := ceiling.Load(job)
	if err != nil {
		return err
	}
	return j.Run(dir)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
