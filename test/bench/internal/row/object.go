// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"
	"path/filepath"

	"github.com/kuda-io/kuda/test/bench/internal/ceiling"
	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// The targets of one large object.
const (
	fasterOnMinIO  = 1.5
	fasterOnLight  = 2.0
	shareOfCeiling = 0.9
	shareOfCPU     = 1.0 / 3
	objectMiB      = 48
)

func objectMinIO(ctx context.Context, e *Env, dir string, result *report.Row) error {
	return objectS3(ctx, e, dir, "minio", fasterOnMinIO, result)
}

func objectLight(ctx context.Context, e *Env, dir string, result *report.Row) error {
	return objectS3(ctx, e, dir, "light", fasterOnLight, result)
}

func objectS3(ctx context.Context, e *Env, dir, kind string, faster float64, result *report.Row) error {
	tree := e.Sizes.object()
	s, sums, err := e.startS3(ctx, kind, dir, "object/", tree)
	if err != nil {
		return err
	}
	defer s.Stop()
	top, err := e.ceiling(ctx, dir, "ceiling", s, "object/", tree, largeConnections)
	if err != nil {
		return err
	}
	at := client.S3{URL: s.URL, Key: "object/" + tree[0].Path}
	clients := []client.Client{at.Kuda(e.Kuda), top}
	clients = e.with(ctx, clients, "s5cmd", func(path string) []client.Client {
		return []client.Client{at.S5cmd(path, nil, nil), at.S5cmd(path, nil, []string{"--concurrency", "8", "--part-size", "16"})}
	})
	clients = e.with(ctx, clients, "rclone", func(path string) []client.Client {
		return []client.Client{at.Rclone(path), at.Rclone(path, "--multi-thread-streams", "8", "--multi-thread-chunk-size", "16M",
			"--multi-thread-write-buffer-size", "1M", "--no-check-dest", "--use-mmap")}
	})
	clients = e.with(ctx, clients, "mc", func(path string) []client.Client { return []client.Client{at.MC(path, false)} })
	clients = e.with(ctx, clients, "python", func(path string) []client.Client {
		return []client.Client{at.AWSCRT(path, false), at.AWSCRT(path, true)}
	})
	result.Bytes, result.Files = tree.Bytes(), len(tree)
	outcomes, err := e.race(dir, sums, clients).Run(ctx)
	if err != nil {
		return err
	}
	result.SetClients(outcomes)
	objectChecks(result, faster)
	result.Notes = append(result.Notes, "mc reads an object over one connection and has no setting for it")
	return nil
}

func objectHTTP(ctx context.Context, e *Env, dir string, result *report.Row) error {
	tree := e.Sizes.object()
	files := filepath.Join(dir, "content")
	sums, err := tree.Write(files)
	if err != nil {
		return err
	}
	nginx, err := e.Peers.Get(ctx, "nginx")
	if err != nil {
		return err
	}
	s, err := server.Nginx(ctx, nginx.Path, filepath.Join(dir, "server"), files)
	if err != nil {
		return err
	}
	defer s.Stop()
	at := client.HTTP{URL: "http://" + s.Addr + "/" + tree[0].Path}
	top, err := e.saved(dir, "ceiling", ceiling.Job{Connections: largeConnections, RangeBytes: rangeBytes,
		Objects: []ceiling.Object{{URL: at.URL, Path: tree[0].Path, Size: tree[0].Size}}})
	if err != nil {
		return err
	}
	clients := []client.Client{at.Kuda(e.Kuda), top}
	clients = e.with(ctx, clients, "curl", func(path string) []client.Client { return []client.Client{at.Curl(path)} })
	clients = e.with(ctx, clients, "aria2", func(path string) []client.Client {
		return []client.Client{at.Aria2(path), at.Aria2(path, "--split=4", "--max-connection-per-server=4", "--min-split-size=64M",
			"--file-allocation=falloc")}
	})
	clients = e.with(ctx, clients, "rclone", func(path string) []client.Client {
		return []client.Client{at.Rclone(path), at.Rclone(path, "--multi-thread-streams", "4", "--multi-thread-chunk-size", "64M",
			"--multi-thread-write-buffer-size", "1M", "--no-check-dest")}
	})
	result.Bytes, result.Files = tree.Bytes(), len(tree)
	outcomes, err := e.race(dir, sums, clients).Run(ctx)
	if err != nil {
		return err
	}
	result.SetClients(outcomes)
	objectChecks(result, fasterOnLight)
	return nil
}

// objectChecks compares time, processor time and memory.
func objectChecks(r *report.Row, faster float64) {
	ours, ok := r.Client("kuda")
	if !ok {
		r.Failed = "kuda has no result"
		return
	}
	fastest(r, ours, "", faster)
	if top, ok := r.Client("ceiling"); ok {
		r.Ratio("wall: share of the ceiling's speed", " s", top.Wall, ours.Wall, true, "ceiling", report.AtLeast(shareOfCeiling))
		r.Ratio("wall until on the disk: share of the ceiling's speed", " s", top.Durable(), ours.Durable(), true, "ceiling", nil)
	}
	if tuned, ok := r.Client("s5cmd, tuned"); ok {
		r.Ratio("cpu: share of tuned s5cmd's", " s/GB", ours.CPUPerGB, tuned.CPUPerGB, false, tuned.Name, report.AtMost(shareOfCPU))
	}
	r.Add(report.Check{Metric: "peak RSS", Unit: " MiB", Ours: mib(ours.RSS), Value: mib(ours.RSS), Goal: report.AtMost(objectMiB)})
}

// fastest compares with the fastest peer whose name begins with prefix, as the
// clients end, and with everything on the disk, which is when Kuda ends.
func fastest(r *report.Row, ours report.Client, prefix string, goal float64) {
	best, ok := r.Best(report.Client.Time, prefix)
	if !ok {
		return
	}
	name := prefix
	if name == "" {
		name = "the best peer"
	}
	var target *report.Goal
	if goal > 0 {
		target = report.AtLeast(goal)
	}
	r.Ratio("wall: times as fast as "+name, " s", best.Wall, ours.Wall, true, best.Name, target)
	if best, ok := r.Best(report.Client.Durable, prefix); ok {
		r.Ratio("wall until on the disk: times as fast as "+name, " s", best.Durable(), ours.Durable(), true, best.Name, nil)
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
