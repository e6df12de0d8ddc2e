// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package race

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/measure"
)

// Race is one comparison.
type Race struct {
	Clients []client.Client
	// Runs of each client.
	Runs int
	// Limit of one run.
	Limit time.Duration
	// Dir is for the runs' directories, on the file system that is measured.
	Dir string
	// Sums of what a client must have made.
	Sums content.Sums
	// SumsOf overrides Sums for clients of those names; nil: not compared.
	SumsOf map[string]content.Sums
	// Prepare brings a place into the state that a run begins with; its time
	// does not count. It may be nil.
	Prepare func(context.Context, client.Client, client.Place) error
	// Count returns how many requests and connections there were so far, of all
	// clients. It may be nil.
	Count func() (requests, connections int64)
	// Log is told how it goes.
	Log func(format string, args ...any)

	// bytes that a run leaves on the disk, known after the first.
	bytes int64
}

const (
	// mostStolen is the share of the machine that may go to others of its host
	// during a run. A run that lost more is thrown away and made again.
	mostStolen = 0.04
	// mostTries bounds that: on a host that is always busy the last one counts.
	mostTries = 4
)

// Sample is one run.
type Sample struct {
	Wall  float64 `json:"wallSeconds"`
	CPU   float64 `json:"cpuSeconds"`
	RSS   int64   `json:"rssBytes"`
	Flush float64 `json:"flushSeconds"`
	// Stolen is the share of the machine's processors that the host gave to others.
	Stolen float64 `json:"stolen"`
	// Requests and Connections that the run made, where they are counted.
	Requests    int64 `json:"requests,omitempty"`
	Connections int64 `json:"connections,omitempty"`
}

// Outcome is all runs of one client. A client that failed runs no more.
type Outcome struct {
	Client  client.Client
	Samples []Sample
	Err     error
}

// Run runs it. Failures of clients are part of the outcome; an error is one of
// the harness.
func (r *Race) Run(ctx context.Context) ([]Outcome, error) {
	outcomes := make([]Outcome, len(r.Clients))
	for i, c := range r.Clients {
		outcomes[i] = Outcome{Client: c, Err: c.Broken}
		if c.Broken != nil {
			r.Log("%-16s failed: %v", c.Name, c.Broken)
		}
	}
	r.warm(ctx)
	for round := range r.Runs {
		for i := range outcomes {
			o := &outcomes[(i+round)%len(outcomes)]
			if o.Err != nil {
				continue
			}
			s, err := r.undisturbed(ctx, o.Client)
			if cause := context.Cause(ctx); cause != nil {
				return outcomes, cause
			}
			if err != nil {
				o.Err = err
				r.Log("%-16s run %d failed: %v", o.Client.Name, round+1, err)
				continue
			}
			o.Samples = append(o.Samples, s)
			r.Log("%-16s run %d  %7.3f s  cpu %7.3f s  rss %4d MiB  flush %6.3f s  stolen %2.0f%%",
				o.Client.Name, round+1, s.Wall, s.CPU, s.RSS>>20, s.Flush, 100*s.Stolen)
		}
	}
	return outcomes, nil
}

// warm runs the first client that works once, for nothing: else the first one
// measured would be the only one to find the source's files and programs cold.
func (r *Race) warm(ctx context.Context) {
	for _, c := range r.Clients {
		if c.Broken != nil {
			continue
		}
		if _, err := r.one(ctx, c); err != nil {
			r.Log("%-16s failed before it counted: %v", c.Name, err)
			continue
		}
		return
	}
}

// undisturbed runs a client until the machine was its own.
func (r *Race) undisturbed(ctx context.Context, c client.Client) (s Sample, err error) {
	for range mostTries {
		s, err = r.one(ctx, c)
		if err != nil || s.Stolen <= mostStolen {
			return s, err
		}
		r.Log("%-16s again: %.0f%% of the processors went to others", c.Name, 100*s.Stolen)
	}
	return s, nil
}

// one runs a client once.
func (r *Race) one(ctx context.Context, c client.Client) (s Sample, err error) {
	dir, err := os.MkdirTemp(r.Dir, "run-")
	if err != nil {
		return s, fmt.Errorf("making a directory for a run: %w", err)
	}
	defer func() { err = errors.Join(err, Empty(dir)) }()
	place := client.Place{Dir: dir}
	if err := place.Make(); err != nil {
		return s, fmt.Errorf("making a directory for a run: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.Limit, measure.ErrTimeout)
	defer cancel()
	if r.Prepare != nil {
		if err := r.Prepare(ctx, c, place); err != nil {
			return s, fmt.Errorf("preparing a run: %w", err)
		}
	}
	// What others left to be written must not be this run's burden.
	if _, err := Flush(dir); err != nil {
		return s, err
	}
	if err := measure.TouchMemory(r.bytes + r.bytes/4); err != nil {
		return s, err
	}
	before, err := measure.Processors()
	if err != nil {
		return s, err
	}
	requests, connections := r.countSoFar()
	u, err := measure.Run(ctx, c.Command(place))
	if err != nil {
		return s, err
	}
	requestsAfter, connectionsAfter := r.countSoFar()
	after, err := measure.Processors()
	if err != nil {
		return s, err
	}
	flush, err := Flush(dir)
	if err != nil {
		return s, err
	}
	s = Sample{Wall: u.Wall.Seconds(), CPU: u.CPU.Seconds(), RSS: u.RSS, Flush: flush.Seconds(), Stolen: after.StolenSince(before),
		Requests: requestsAfter - requests, Connections: connectionsAfter - connections}
	if r.bytes == 0 {
		if r.bytes, err = sizeOf(dir); err != nil {
			return s, err
		}
	}
	sums := r.Sums
	if of, ok := r.SumsOf[c.Name]; ok {
		sums = of
	}
	if sums == nil {
		return s, nil
	}
	return s, content.Check(place.Out(), sums)
}

func (r *Race) countSoFar() (requests, connections int64) {
	if r.Count == nil {
		return 0, 0
	}
	return r.Count()
}

// Empty takes the content of a run's files and leaves the files, which go with
// their row. An inode that is given back is not given out again for a minute,
// and finding others around thousands of those would be the next client's cost.
func Empty(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		return os.Truncate(path, 0)
	})
	if err != nil {
		return fmt.Errorf("emptying the files of a run: %w", err)
	}
	return nil
}

// sizeOf adds up what is allocated on the disk; files with several names once.
func sizeOf(dir string) (int64, error) {
	var total int64
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && !seen[s.Ino] {
			seen[s.Ino] = true
			total += s.Blocks * 512
		}
		return nil
	})
	return total, err
}

// Flush writes everything to the disk that a directory's file system holds
// back, and returns how long it took.
func Flush(dir string) (time.Duration, error) {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return 0, err
	}
	defer d.Close()
	started := time.Now()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return 0, fmt.Errorf("flushing the file system of %s: %w", dir, err)
	}
	return time.Since(started), nil
}

// Of returns a figure of each run.
func (o Outcome) Of(figure func(Sample) float64) []float64 {
	all := make([]float64, 0, len(o.Samples))
	for _, s := range o.Samples {
		all = append(all, figure(s))
	}
	return all
}

// Median returns the middle one, or the mean of the two in the middle; 0 of none.
func Median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
