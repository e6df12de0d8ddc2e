// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"
	"strings"

	"github.com/kuda-io/kuda/internal/source/sourcetest/distance"
	"github.com/kuda-io/kuda/test/bench/internal/ceiling"
	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// The targets of storage that is far away.
const (
	farShareOfCeiling = 0.9
	farOfS5cmd        = 0.8
	farFilesPerSecond = 3000
	farFirstBytes     = 2.2
	farModelsOfLimit  = 1.15
	farAsFastAsPeer   = 1.0
	// farUpdate is how many times to the first byte an update may take beside
	// fetching only what changed: three, and one for each page of its listing.
	farUpdate = 3 + 4
)

// Connections of the ceiling to storage that is far away, and the size of its ranges.
const (
	farLargeConnections = 64
	farSmallConnections = 384
	farRangeBytes       = 16 << 20
)

// away is a distance with a name.
type away struct {
	name    string
	profile distance.Profile
}

var (
	region = away{"region", distance.Region}
	far    = away{"far", distance.Far}
	lossy  = away{"lossy", distance.Lossy}
)

// The settings with which other clients are fastest over a distance.
var (
	s5cmdFarObject  = []string{"--concurrency", "32", "--part-size", "16"}
	s5cmdFarMany    = []string{"--numworkers", "256"}
	rcloneFarObject = []string{"--multi-thread-streams", "32", "--multi-thread-chunk-size", "16M", "--multi-thread-write-buffer-size", "1M",
		"--no-check-dest"}
	rcloneFarMany = []string{"--transfers", "256", "--checkers", "64", "--fast-list", "--use-server-modtime", "--no-check-dest"}
)

// remote is a server as it is seen through a proxy.
type remote struct {
	*server.S3
	proxy *distance.Proxy
	// sums are of the tree that is stored there.
	sums content.Sums
}

// Stop stops the server and the proxy.
func (r *remote) Stop() {
	r.proxy.Close()
	r.S3.Stop()
}

// countAll returns the requests and connections so far.
func (r *remote) countAll() (requests, connections int64) {
	return r.proxy.Requests(), r.proxy.Connections()
}

// startAway starts a MinIO with a tree, and a proxy that makes it far away.
func (e *Env) startAway(ctx context.Context, a away, dir, prefix string, tree content.Tree) (*remote, error) {
	s, sums, err := e.startS3(ctx, "minio", dir, prefix, tree)
	if err != nil {
		return nil, err
	}
	r := &remote{S3: s, proxy: distance.New(a.profile), sums: sums}
	if r.S3, err = reachBehind(s, r.proxy); err != nil {
		r.proxy.Close()
		s.Stop()
		return nil, err
	}
	return r, nil
}

// reachBehind returns a server as it is seen through a proxy.
func reachBehind(s *server.S3, p *distance.Proxy) (*server.S3, error) {
	addr, err := p.Listen(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		return nil, err
	}
	return s.At(addr)
}

// raceAway runs clients whose requests the proxy counts.
func (e *Env) raceAway(ctx context.Context, s *remote, dir string, clients []client.Client, result *report.Row) error {
	r := e.race(dir, s.sums, clients)
	r.Count = s.countAll
	outcomes, err := r.Run(ctx)
	if err != nil {
		return err
	}
	result.SetClients(outcomes)
	return nil
}

func objectFrom(a away) func(context.Context, *Env, string, *report.Row) error {
	return func(ctx context.Context, e *Env, dir string, result *report.Row) error {
		tree := e.Sizes.object()
		s, err := e.startAway(ctx, a, dir, "object/", tree)
		if err != nil {
			return err
		}
		defer s.Stop()
		top, err := e.ceilingAway(ctx, dir, "ceiling", s.S3, "object/", tree, farLargeConnections)
		if err != nil {
			return err
		}
		at := client.S3{URL: s.URL, Key: "object/" + tree[0].Path}
		clients := []client.Client{at.Kuda(e.Kuda), top}
		clients = e.with(ctx, clients, "s5cmd", func(path string) []client.Client {
			return []client.Client{at.S5cmd(path, nil, nil), at.S5cmd(path, nil, s5cmdFarObject)}
		})
		clients = e.with(ctx, clients, "rclone", func(path string) []client.Client {
			return []client.Client{at.Rclone(path), at.Rclone(path, rcloneFarObject...)}
		})
		clients = e.with(ctx, clients, "mc", func(path string) []client.Client { return []client.Client{at.MC(path, false)} })
		clients = e.with(ctx, clients, "python", func(path string) []client.Client {
			return []client.Client{at.AWSCRT(path, false), at.AWSCRT(path, true)}
		})
		result.Bytes, result.Files = tree.Bytes(), len(tree)
		if err := e.raceAway(ctx, s, dir, clients, result); err != nil {
			return err
		}
		ours, ok := result.Client("kuda")
		if !ok {
			result.Failed = "kuda has no result"
			return nil
		}
		fastest(result, ours, "", farAsFastAsPeer)
		shareOfProfile(result, ours, a.profile)
		if top, ok := result.Client("ceiling"); ok {
			result.Ratio("wall: share of the ceiling's speed", " s", top.Wall, ours.Wall, true, "ceiling", report.AtLeast(farShareOfCeiling))
		}
		result.Add(report.Check{Metric: "peak RSS", Unit: " MiB", Ours: mib(ours.RSS), Value: mib(ours.RSS), Goal: report.AtMost(objectMiB)})
		return nil
	}
}

// shareOfProfile compares with what the profile lets through.
func shareOfProfile(result *report.Row, ours report.Client, p distance.Profile) {
	least := float64(result.Bytes)/float64(p.Total) + p.FirstByte.Seconds()
	result.Ratio("wall: share of what the distance lets through", " s", least, ours.Wall, true, "distance", nil)
}

func smallFrom(a away) func(context.Context, *Env, string, *report.Row) error {
	return func(ctx context.Context, e *Env, dir string, result *report.Row) error {
		tree := e.Sizes.small()
		s, err := e.startAway(ctx, a, dir, "small/", tree)
		if err != nil {
			return err
		}
		defer s.Stop()
		clients := e.treeClientsAway(ctx, client.S3{URL: s.URL, Key: "small/"})
		if a.profile.CutEvery == 0 {
			top, err := e.ceilingAway(ctx, dir, "ceiling", s.S3, "small/", tree, farSmallConnections)
			if err != nil {
				return err
			}
			clients = append(clients, top)
		}
		result.Bytes, result.Files = tree.Bytes(), len(tree)
		if err := e.raceAway(ctx, s, dir, clients, result); err != nil {
			return err
		}
		ours, ok := result.Client("kuda")
		if !ok {
			result.Failed = "kuda has no result"
			return nil
		}
		fastest(result, ours, "s5cmd", 1/farOfS5cmd)
		fastest(result, ours, "rclone", 0)
		fastest(result, ours, "mc", 0)
		if top, ok := result.Client("ceiling"); ok {
			result.Ratio("wall: share of the ceiling's speed", " s", top.Wall, ours.Wall, true, "ceiling", nil)
		}
		rate := float64(len(tree)) / ours.Wall
		check := report.Check{Metric: "files per second", Ours: rate, Value: rate}
		if a == region {
			check.Goal = report.AtLeast(farFilesPerSecond)
		}
		result.Add(check)
		result.Add(report.Check{Metric: "peak RSS", Unit: " MiB", Ours: mib(ours.RSS), Value: mib(ours.RSS)})
		return nil
	}
}

// singleFrom measures what a small change costs once the runtime knows of it: all
// of a fetch of 1 KiB, from the start of the process on.
func singleFrom(a away) func(context.Context, *Env, string, *report.Row) error {
	return func(ctx context.Context, e *Env, dir string, result *report.Row) error {
		tree := content.Tree{{Path: "settings", Size: 1 << 10, Seed: 1}}
		s, err := e.startAway(ctx, a, dir, "single/", tree)
		if err != nil {
			return err
		}
		defer s.Stop()
		at := client.S3{URL: s.URL, Key: "single/" + tree[0].Path}
		signed, err := s.Signed(ctx, at.Key)
		if err != nil {
			return err
		}
		clients := []client.Client{at.Kuda(e.Kuda)}
		clients = e.with(ctx, clients, "curl", func(path string) []client.Client {
			return []client.Client{client.HTTP{URL: signed}.CurlTo(path, tree[0].Path)}
		})
		clients = e.with(ctx, clients, "s5cmd", func(path string) []client.Client { return []client.Client{at.S5cmd(path, nil, nil)} })
		result.Bytes, result.Files = tree.Bytes(), len(tree)
		if err := e.raceAway(ctx, s, dir, clients, result); err != nil {
			return err
		}
		ours, ok := result.Client("kuda")
		if !ok {
			result.Failed = "kuda has no result"
			return nil
		}
		result.Ratio("wall: times to the first byte", " s", ours.Wall, a.profile.FirstByte.Seconds(), false, "first byte",
			report.AtMost(farFirstBytes))
		fastest(result, ours, "curl", 0)
		return nil
	}
}

// treeClientsAway are those that fetch a tree.
func (e *Env) treeClientsAway(ctx context.Context, at client.S3) []client.Client {
	clients := []client.Client{at.Kuda(e.Kuda)}
	clients = e.with(ctx, clients, "s5cmd", func(path string) []client.Client {
		return []client.Client{at.S5cmd(path, nil, nil), at.S5cmd(path, s5cmdFarMany, nil)}
	})
	clients = e.with(ctx, clients, "rclone", func(path string) []client.Client {
		return []client.Client{at.Rclone(path), at.Rclone(path, rcloneFarMany...)}
	})
	return e.with(ctx, clients, "mc", func(path string) []client.Client { return []client.Client{at.MC(path, true)} })
}

// ceilingAway is the ceiling with as many connections as a distance takes.
func (e *Env) ceilingAway(ctx context.Context, dir, name string, s *server.S3, prefix string, tree content.Tree,
	connections int) (client.Client, error) {
	job := ceiling.Job{Connections: connections, RangeBytes: farRangeBytes}
	for _, f := range tree {
		url, err := s.Signed(ctx, prefix+f.Path)
		if err != nil {
			return client.Client{}, err
		}
		job.Objects = append(job.Objects, ceiling.Object{URL: url, Path: f.Path, Size: f.Size})
	}
	return e.saved(dir, name, job)
}

func modelsFrom(a away) func(context.Context, *Env, string, *report.Row) error {
	return func(ctx context.Context, e *Env, dir string, result *report.Row) error {
		tree := e.Sizes.models()
		s, err := e.startAway(ctx, a, dir, "models/", tree)
		if err != nil {
			return err
		}
		defer s.Stop()
		return e.raceModels(ctx, dir, modelRace{sums: s.sums, tree: tree, target: farModelsOfLimit,
			clients: e.treeClientsAway(ctx, client.S3{URL: s.URL, Key: "models/"}),
			ceiling: func(name string, part content.Tree, connections int) (client.Client, error) {
				if connections == largeConnections {
					return e.ceilingAway(ctx, dir, name, s.S3, "models/", part, farLargeConnections)
				}
				return e.ceilingAway(ctx, dir, name, s.S3, "models/", part, farSmallConnections)
			},
			count: s.countAll}, result)
	}
}

func updateFrom(a away) func(context.Context, *Env, string, *report.Row) error {
	return func(ctx context.Context, e *Env, dir string, result *report.Row) error {
		return runUpdate(ctx, &update{Env: e, dir: dir, away: distance.New(a.profile), firstByte: a.profile.FirstByte}, result)
	}
}
