// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/measure"
	"github.com/kuda-io/kuda/test/bench/internal/node"
	"github.com/kuda-io/kuda/test/bench/internal/race"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// The targets of the sidecar. Others: git-sync 16 MiB, the sidecar of Istio
// 60 MB, by their own documentation.
const (
	idleMiB        = 16
	downloadingMiB = 64
	idleMilliCPU   = 0.2
)

// settle is how long a sidecar is left alone after a delivery before it counts
// as idle.
const settle = 3 * time.Second

// sidecar is what one run finds out.
type sidecar struct{ idle, idleOwn, idleCPU, peak float64 }

func memory(ctx context.Context, e *Env, dir string, result *report.Row) error {
	// A quarter is enough for the memory to stop growing.
	large := content.Tree{{Path: "blob", Size: e.Sizes.Object / 4, Seed: 1}}
	s, sums, err := e.startS3(ctx, "minio", dir, "large/", large)
	if err != nil {
		return err
	}
	defer s.Stop()
	little := filepath.Join(dir, "little")
	if _, err := (content.Tree{}).Add(100, smallBytes, "file-%02d", numbered).Write(little); err != nil {
		return err
	}
	if err := s.PutTree(ctx, "little/", little); err != nil {
		return err
	}
	var runs []sidecar
	for round := range e.Runs {
		one, err := e.sidecar(ctx, dir, s, sums)
		if err != nil {
			return err
		}
		e.Log("run %d  idle %.1f MiB (%.1f MiB its own)  %.3f mCPU  peak %.1f MiB", round+1, one.idle, one.idleOwn, one.idleCPU, one.peak)
		runs = append(runs, one)
	}
	add := func(metric, unit string, figure func(sidecar) float64, pick func([]float64) float64, goal *report.Goal) {
		all := make([]float64, 0, len(runs))
		for _, r := range runs {
			all = append(all, figure(r))
		}
		v := pick(all)
		result.Add(report.Check{Metric: metric, Unit: unit, Ours: v, Value: v, Goal: goal})
	}
	add("idle RSS, median", " MiB", func(s sidecar) float64 { return s.idle }, race.Median, report.AtMost(idleMiB))
	add("idle RSS, worst", " MiB", func(s sidecar) float64 { return s.idle }, slices.Max[[]float64], nil)
	add("idle RSS without pages of the program's file, median", " MiB", func(s sidecar) float64 { return s.idleOwn }, race.Median, nil)
	add("downloading, peak RSS, worst", " MiB", func(s sidecar) float64 { return s.peak }, slices.Max[[]float64],
		report.AtMost(downloadingMiB))
	add("idle processor, median", " mCPU", func(s sidecar) float64 { return s.idleCPU }, race.Median, report.AtMost(idleMilliCPU))
	info, err := os.Stat(e.Kuda)
	if err != nil {
		return err
	}
	result.Add(report.Check{Metric: "size of the program, which is nearly all of the image", Unit: " MiB", Ours: mib(info.Size()),
		Value: mib(info.Size())})
	result.Notes = append(result.Notes,
		fmt.Sprintf("idle: connected, with 100 files delivered, watched for %d s; downloading: an object of %d MiB",
			e.Sizes.IdleSeconds, large.Bytes()>>20))
	return nil
}

// sidecar watches one runtime: with little, at rest, and with much to do.
func (e *Env) sidecar(ctx context.Context, dir string, s *server.S3, sums content.Sums) (result sidecar, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.Limit, measure.ErrTimeout)
	defer cancel()
	if dir, err = os.MkdirTemp(filepath.Join(dir, "runs"), "run-"); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, err := node.New(e.Kuda, dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, n.Stop()) }()
	if err := n.Start(ctx, 1); err != nil {
		return result, err
	}
	if _, _, err := n.Deliver(ctx, s.URL, "little/", "v1"); err != nil {
		return result, err
	}
	pid := n.Pods[0].PID()
	if err := wait(ctx, settle); err != nil {
		return result, err
	}
	before, err := measure.CPUOf(pid)
	if err != nil {
		return result, err
	}
	started := time.Now()
	if err := wait(ctx, time.Duration(e.Sizes.IdleSeconds)*time.Second); err != nil {
		return result, err
	}
	after, err := measure.CPUOf(pid)
	if err != nil {
		return result, err
	}
	m, err := measure.MemoryOf(pid)
	if err != nil {
		return result, err
	}
	result = sidecar{idle: mib(m.Now), idleOwn: mib(m.Own), idleCPU: 1e3 * (after - before).Seconds() / time.Since(started).Seconds()}
	if _, _, err := n.Deliver(ctx, s.URL, "large/", "v2"); err != nil {
		return result, err
	}
	if m, err = measure.MemoryOf(pid); err != nil {
		return result, err
	}
	result.peak = mib(m.Peak)
	view, err := filepath.EvalSymlinks(n.View(0, "v2"))
	if err != nil {
		return result, err
	}
	return result, content.Check(view, sums)
}

// wait is the time during which is watched.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
