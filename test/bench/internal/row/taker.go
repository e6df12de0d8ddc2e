// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/measure"
	"github.com/kuda-io/kuda/test/bench/internal/node"
	"github.com/kuda-io/kuda/test/bench/internal/race"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// taker measures what it costs a pod of kuda-node's store to compare every byte that it
// did not download itself, beside a pod that compares what is small and trusts the rest.
func taker(ctx context.Context, e *Env, dir string, result *report.Row) error {
	large := content.Tree{{Path: "blob", Size: e.Sizes.Object / 4, Seed: 1}}
	s, _, err := e.startS3(ctx, "minio", dir, "large/", large)
	if err != nil {
		return err
	}
	defer s.Stop()
	var trusting, comparing []float64
	for round := range e.Runs {
		for _, keeper := range []bool{false, true} {
			took, err := e.join(ctx, dir, s, keeper)
			if err != nil {
				return err
			}
			e.Log("run %d  compares all: %-5v  %.3f s", round+1, keeper, took)
			if keeper {
				comparing = append(comparing, took)
			} else {
				trusting = append(trusting, took)
			}
		}
	}
	result.Bytes, result.Files = large.Bytes(), len(large)
	with, without := race.Median(comparing), race.Median(trusting)
	result.Add(report.Check{Metric: "start of one more pod that compares all, median", Unit: " s", Ours: with, Value: with})
	result.Add(report.Check{Metric: "start of one more pod that trusts large files, median", Unit: " s", Ours: without, Value: without})
	perGiB := (with - without) / (float64(large.Bytes()) / (1 << 30))
	result.Add(report.Check{Metric: "what comparing costs", Unit: " s/GiB", Ours: perGiB, Value: perGiB})
	result.Notes = append(result.Notes, fmt.Sprintf("an object of %d MiB, in the page cache; the start of the runtime is part of the time",
		large.Bytes()>>20))
	return nil
}

// join brings an object to a node by one pod, and returns how long the next one took to have it.
func (e *Env) join(ctx context.Context, dir string, s *server.S3, keeper bool) (seconds float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.Limit, measure.ErrTimeout)
	defer cancel()
	if dir, err = os.MkdirTemp(filepath.Join(dir, "runs"), "run-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, err := node.New(e.Kuda, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, n.Stop()) }()
	n.Keeper = keeper
	if err := n.Start(ctx, 1); err != nil {
		return 0, err
	}
	if _, _, err := n.Deliver(ctx, s.URL, "large/", "v1"); err != nil {
		return 0, err
	}
	took, err := n.Join(ctx, "v1")
	return took.Seconds(), err
}
