// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// runAll makes all runs, with the plugin and without it by turns, and reports.
func runAll(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return fmt.Errorf("finding the directory: %w", err)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	r := report{Options: *o, CPUs: runtime.NumCPU()}
	for i := range 2 * o.Runs {
		// A B, B A, A B: whatever changes with time hits both alike.
		with := (i%2 == 0) == (i/2%2 == 0)
		fmt.Fprintf(stderr, "run %d of %d, %s the plugin\n", i+1, 2*o.Runs, armName(with))
		one, err := runOnce(ctx, o, with, fmt.Sprintf("%d-%s", i, armName(with)), stderr)
		if err != nil {
			return fmt.Errorf("run %d, %s the plugin: %w", i+1, armName(with), err)
		}
		r.Runs = append(r.Runs, *one)
		fmt.Fprintf(stderr, "  %.1f pods/s, %.0f %% on holders\n", one.PodsPerSecond, 100*one.OnHolders)
	}
	r.fillSummaries()
	if err := r.saveJSON(o.out); err != nil {
		return err
	}
	r.printTable(stdout)
	return nil
}

func armName(with bool) string {
	if with {
		return "with"
	}
	return "without"
}
