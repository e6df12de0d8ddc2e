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

	"golang.org/x/sync/errgroup"

	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/measure"
	"github.com/kuda-io/kuda/test/bench/internal/meter"
	"github.com/kuda-io/kuda/test/bench/internal/node"
	"github.com/kuda-io/kuda/test/bench/internal/race"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// The targets of pods that want the same.
const (
	fanoutBytes = 1.0
	fanoutLast  = 1.05
	fanoutGrace = 100 * time.Millisecond
)

// shared is what pods of one node do.
type shared struct {
	*Env
	dir  string
	s3   *server.S3
	tree content.Tree
	sums content.Sums
}

func fanout(ctx context.Context, e *Env, dir string, result *report.Row) error {
	f := &shared{Env: e, dir: dir}
	half := e.Sizes.Fanout / 2
	f.tree = content.Tree{{Path: "shard", Size: half, Seed: 1}}.Add(64, half/64, "part-%02d", numbered)
	var err error
	if f.s3, f.sums, err = e.startS3(ctx, "minio", dir, "same/", f.tree); err != nil {
		return err
	}
	defer f.s3.Stop()
	result.Bytes, result.Files = f.tree.Bytes()*int64(e.Sizes.Pods), len(f.tree)*e.Sizes.Pods
	result.Notes = append(result.Notes, fmt.Sprintf("%d pods, %d MiB each; GB/s is of what all pods have in the end; "+
		"processor time is that of all runtimes or clients together", e.Sizes.Pods, f.tree.Bytes()>>20))
	at := client.S3{URL: f.s3.URL, Key: "same/"}
	alone := []client.Client{at.Kuda(e.Kuda)}
	alone[0].Name, alone[0].Kind = "kuda fetch per pod", client.Peer
	alone = e.with(ctx, alone, "s5cmd", func(path string) []client.Client { return []client.Client{at.S5cmd(path, nil, nil)} })

	outcomes := []race.Outcome{{Client: client.Client{Name: "kuda", Kind: client.Ours}}}
	for _, c := range alone {
		outcomes = append(outcomes, race.Outcome{Client: c, Err: c.Broken})
	}
	var firsts, spread []float64
	for round := range e.Runs {
		for i := range outcomes {
			o := &outcomes[(i+round)%len(outcomes)]
			if o.Err != nil {
				continue
			}
			first, s, err := f.once(ctx, o.Client)
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			if err != nil {
				o.Err = err
				e.Log("%-16s run %d failed: %v", o.Client.Name, round+1, err)
				continue
			}
			e.Log("%-16s run %d  first %7.3f s  last %7.3f s  cpu %7.3f s", o.Client.Name, round+1, first, s.Wall, s.CPU)
			o.Samples = append(o.Samples, s)
			if o.Client.Kind == client.Ours {
				firsts, spread = append(firsts, first), append(spread, s.Wall-first*fanoutLast)
			}
		}
	}
	result.SetClients(outcomes)
	return f.checks(ctx, result, firsts, spread)
}

// once has all pods want the data, in the one way or the other.
func (f *shared) once(ctx context.Context, c client.Client) (first float64, s race.Sample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.Limit, measure.ErrTimeout)
	defer cancel()
	dir, err := os.MkdirTemp(filepath.Join(f.dir, "runs"), "run-")
	if err != nil {
		return 0, s, err
	}
	defer func() { err = errors.Join(err, race.Empty(dir)) }()
	if c.Kind == client.Ours {
		return f.together(ctx, dir, f.s3.URL)
	}
	return f.apart(ctx, dir, c)
}

// together is one node's store with a runtime per pod.
func (f *shared) together(ctx context.Context, dir, url string) (first float64, s race.Sample, err error) {
	n, err := node.New(f.Kuda, dir)
	if err != nil {
		return 0, s, err
	}
	defer func() { err = errors.Join(err, n.Stop()) }()
	if err := n.Start(ctx, f.Sizes.Pods); err != nil {
		return 0, s, err
	}
	if _, err := race.Flush(dir); err != nil {
		return 0, s, err
	}
	if err := measure.TouchMemory(4 * f.Sizes.Fanout); err != nil {
		return 0, s, err
	}
	before, err := cpuOf(n)
	if err != nil {
		return 0, s, err
	}
	one, last, err := n.Deliver(ctx, url, "same/", "v1")
	if err != nil {
		return 0, s, err
	}
	after, err := cpuOf(n)
	if err != nil {
		return 0, s, err
	}
	s = race.Sample{Wall: last.Seconds(), CPU: (after - before).Seconds()}
	for i, p := range n.Pods {
		m, err := measure.MemoryOf(p.PID())
		if err != nil {
			return 0, s, err
		}
		s.RSS = max(s.RSS, m.Peak)
		view, err := filepath.EvalSymlinks(n.View(i, "v1"))
		if err != nil {
			return 0, s, err
		}
		if err := content.Check(view, f.sums); err != nil {
			return 0, s, fmt.Errorf("pod %d: %w", i, err)
		}
	}
	return one.Seconds(), s, nil
}

func cpuOf(n *node.Node) (time.Duration, error) {
	var sum time.Duration
	for _, p := range n.Pods {
		cpu, err := measure.CPUOf(p.PID())
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}

// apart is a download per pod, all at the same time.
func (f *shared) apart(ctx context.Context, dir string, c client.Client) (first float64, s race.Sample, err error) {
	if _, err := race.Flush(dir); err != nil {
		return 0, s, err
	}
	usages := make([]measure.Usage, f.Sizes.Pods)
	group, ctx := errgroup.WithContext(ctx)
	places := make([]client.Place, f.Sizes.Pods)
	for i := range places {
		places[i] = client.Place{Dir: filepath.Join(dir, fmt.Sprintf("pod-%d", i))}
		if err := places[i].Make(); err != nil {
			return 0, s, err
		}
	}
	if err := measure.TouchMemory(int64(f.Sizes.Pods+2) * f.Sizes.Fanout); err != nil {
		return 0, s, err
	}
	started := time.Now()
	finished := make([]float64, f.Sizes.Pods)
	for i := range usages {
		group.Go(func() (err error) {
			usages[i], err = measure.Run(ctx, c.Command(places[i]))
			finished[i] = time.Since(started).Seconds()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, s, err
	}
	flush, err := race.Flush(dir)
	if err != nil {
		return 0, s, err
	}
	s = race.Sample{Wall: slices.Max(finished), Flush: flush.Seconds()}
	for i, u := range usages {
		s.CPU += u.CPU.Seconds()
		s.RSS = max(s.RSS, u.RSS)
		if err := content.Check(places[i].Out(), f.sums); err != nil {
			return 0, s, err
		}
	}
	return slices.Min(finished), s, nil
}

// checks counts the source's bytes once more, and compares.
func (f *shared) checks(ctx context.Context, r *report.Row, firsts, spread []float64) error {
	ours, ok := r.Client("kuda")
	if !ok {
		r.Failed = "kuda has no result"
		return nil
	}
	web, err := meter.NewHTTP(f.s3.URL)
	if err != nil {
		return err
	}
	defer web.Close()
	dir := filepath.Join(f.dir, "counted")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if _, _, err := f.together(ctx, dir, web.URL); err != nil {
		return err
	}
	objects, others := web.Objects()
	r.Ratio("bytes of files read from the source, of the data", " B", float64(objects), float64(f.tree.Bytes()), false, "the data",
		report.AtMost(fanoutBytes))
	r.Add(report.Check{Metric: "bytes of listings read", Unit: " B", Ours: float64(others), Value: float64(others)})
	r.Ratio("last pod, of the first", " s", ours.Wall, race.Median(firsts), false, "first pod", nil)
	late := race.Median(spread) * 1e3
	r.Add(report.Check{Metric: "last pod, later than 1.05 times the first", Unit: " ms", Ours: late, Value: late,
		Goal: report.AtMost(float64(fanoutGrace.Milliseconds()))})
	fastest(r, ours, "kuda fetch per pod", 0)
	fastest(r, ours, "s5cmd", 0)
	return nil
}
