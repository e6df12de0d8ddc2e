// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kuda-io/kuda/test/bench/internal/measure"
	"github.com/kuda-io/kuda/test/bench/internal/peer"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/row"
)

// busyWindow is how long it looks at the machine before a row, and tooBusy the
// share of the processors from which on figures are doubted.
const (
	busyWindow = time.Second
	tooBusy    = 0.1
)

// run measures the chosen rows and writes the result.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.list {
		for _, r := range row.All() {
			fmt.Fprintf(stdout, "%-16s %s\n", r.Name, r.Title)
		}
		return nil
	}
	rows, err := o.chosen()
	if err != nil {
		return err
	}
	log := func(format string, args ...any) { fmt.Fprintf(stdout, "  "+format+"\n", args...) }
	env, err := o.env(log)
	if err != nil {
		return err
	}
	result, err := o.begin(ctx, env)
	if err != nil {
		return err
	}
	defer func() {
		for _, r := range rows {
			if err := r.Clean(env); err != nil {
				log("files of %s were not removed: %v", r.Name, err)
			}
		}
	}()
	started := time.Now()
	for _, r := range rows {
		fmt.Fprintf(stdout, "%s: %s\n", r.Name, r.Title)
		busy, err := measure.Busy(ctx, busyWindow)
		if err != nil {
			return err
		}
		if busy > tooBusy {
			warning := fmt.Sprintf("before %s others used %.0f %% of the processors (load average %.1f); its times say little",
				r.Name, busy*100, measure.Load())
			log("warning: %s", warning)
			result.Warnings = append(result.Warnings, warning)
		}
		one := r.Run(ctx, env)
		one.Busy = busy
		result.Rows = append(result.Rows, one)
		result.Seconds, result.Versions = time.Since(started).Seconds(), env.Peers.Versions()
		// After each row, so that what was measured is not lost with what fails later.
		if err := result.Save(o.out); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
	}
	return result.Table(stdout)
}

// chosen returns the rows that are asked for.
func (o *options) chosen() ([]row.Row, error) {
	all := row.All()
	if o.rows == "" {
		return all, nil
	}
	var rows []row.Row
	for name := range strings.SplitSeq(o.rows, ",") {
		found := false
		for _, r := range all {
			if r.Name == name {
				rows, found = append(rows, r), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no row %q; -list names them", name)
		}
	}
	return rows, nil
}

// env finds what rows need.
func (o *options) env(log func(string, ...any)) (*row.Env, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &row.Env{Self: self, Runs: o.runs, Alone: o.alone, Only: o.namedPeers(), Limit: o.limit, Sizes: o.sizes(), Log: log}
	for _, p := range []struct {
		to               *string
		flag, path, make string
	}{
		{&e.Kuda, "kuda", o.kuda, "make build"},
		{&e.MinIO, "minio", o.minio, "make cluster-build"},
		{&e.Cluster, "cluster", o.cluster, "make cluster-build"},
		{&o.peers, "peers", o.peers, "clone Kuda"},
	} {
		if p.path == "" {
			return nil, fmt.Errorf("-%s is not set: 'make bench' does it, after %s", p.flag, p.make)
		}
		if *p.to, err = filepath.Abs(p.path); err != nil {
			return nil, err
		}
		if _, err := os.Stat(*p.to); err != nil {
			return nil, fmt.Errorf("finding -%s: %w; %s first", p.flag, err, p.make)
		}
	}
	if e.Dir, err = filepath.Abs(o.dir); err != nil {
		return nil, err
	}
	if o.cache, err = filepath.Abs(o.cache); err != nil {
		return nil, err
	}
	e.Peers = &peer.Set{Cache: o.cache, Modules: o.peers, Log: log}
	return e, errors.Join(os.MkdirAll(e.Dir, 0o755), os.MkdirAll(o.cache, 0o755), os.MkdirAll(filepath.Dir(o.out), 0o755))
}

// begin describes what is measured, where and how.
func (o *options) begin(ctx context.Context, e *row.Env) (*report.Report, error) {
	machine, err := measure.Describe(e.Dir)
	if err != nil {
		return nil, err
	}
	s := e.Sizes
	return &report.Report{
		Started: time.Now().UTC().Format(time.RFC3339),
		Kuda:    commit(ctx),
		Machine: machine,
		Settings: map[string]string{
			"runs": strconv.Itoa(o.runs), "quick": strconv.FormatBool(o.quick), "objectBytes": strconv.FormatInt(s.Object, 10),
			"pageCache": "sources are in the page cache of the server's machine; destinations are fresh and on the file system " +
				"named under machine; " +
				"it is flushed before each run, and after it in a time of its own",
		},
	}, nil
}

// commit is that of the clone the benchmark is run in.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=12", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
