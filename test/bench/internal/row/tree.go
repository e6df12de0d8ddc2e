// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"

	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/report"
)

// The targets of trees.
const (
	smallThanS5cmd  = 2.0
	smallThanRclone = 4.0
	modelsOfLimit   = 1.1
)

// The settings of other clients for many files.
var (
	s5cmdMany  = []string{"--numworkers", "32"}
	rcloneMany = []string{"--transfers", "32", "--checkers", "32", "--fast-list", "--use-server-modtime", "--no-check-dest"}
)

func smallMinIO(ctx context.Context, e *Env, dir string, result *report.Row) error {
	return small(ctx, e, dir, "minio", result)
}

func smallLight(ctx context.Context, e *Env, dir string, result *report.Row) error {
	return small(ctx, e, dir, "light", result)
}

func small(ctx context.Context, e *Env, dir, kind string, result *report.Row) error {
	tree := e.Sizes.small()
	s, sums, err := e.startS3(ctx, kind, dir, "small/", tree)
	if err != nil {
		return err
	}
	defer s.Stop()
	top, err := e.ceiling(ctx, dir, "ceiling", s, "small/", tree, smallConnections)
	if err != nil {
		return err
	}
	clients := append(e.treeClients(ctx, client.S3{URL: s.URL, Key: "small/"}), top)
	result.Bytes, result.Files = tree.Bytes(), len(tree)
	outcomes, err := e.race(dir, sums, clients).Run(ctx)
	if err != nil {
		return err
	}
	result.SetClients(outcomes)
	ours, ok := result.Client("kuda")
	if !ok {
		result.Failed = "kuda has no result"
		return nil
	}
	fastest(result, ours, "s5cmd", smallThanS5cmd)
	fastest(result, ours, "rclone", smallThanRclone)
	fastest(result, ours, "mc", 0)
	if top, ok := result.Client("ceiling"); ok {
		result.Ratio("wall: share of the ceiling's speed", " s", top.Wall, ours.Wall, true, "ceiling", nil)
	}
	rate := float64(len(tree)) / ours.Wall
	result.Add(report.Check{Metric: "files per second", Ours: rate, Value: rate})
	return nil
}

// treeClients are those that fetch a tree.
func (e *Env) treeClients(ctx context.Context, at client.S3) []client.Client {
	clients := []client.Client{at.Kuda(e.Kuda)}
	clients = e.with(ctx, clients, "s5cmd", func(path string) []client.Client {
		return []client.Client{at.S5cmd(path, nil, nil), at.S5cmd(path, s5cmdMany, nil)}
	})
	clients = e.with(ctx, clients, "rclone", func(path string) []client.Client {
		return []client.Client{at.Rclone(path), at.Rclone(path, rcloneMany...)}
	})
	return e.with(ctx, clients, "mc", func(path string) []client.Client {
		return []client.Client{at.MC(path, false), at.MC(path, true)}
	})
}

// models compares with two limits: how fast the bytes alone could come, and how
// fast as many requests could be answered and as many files be made.
func models(ctx context.Context, e *Env, dir string, result *report.Row) error {
	tree := e.Sizes.models()
	s, sums, err := e.startS3(ctx, "minio", dir, "models/", tree)
	if err != nil {
		return err
	}
	defer s.Stop()
	return e.raceModels(ctx, dir, modelRace{sums: sums, tree: tree, target: modelsOfLimit,
		clients: e.treeClients(ctx, client.S3{URL: s.URL, Key: "models/"}),
		ceiling: func(name string, part content.Tree, connections int) (client.Client, error) {
			return e.ceiling(ctx, dir, name, s, "models/", part, connections)
		}}, result)
}

// modelRace is what is compared.
type modelRace struct {
	sums    content.Sums
	tree    content.Tree
	target  float64
	clients []client.Client
	// ceiling returns the one of a part of the tree.
	ceiling func(name string, part content.Tree, connections int) (client.Client, error)
	// count is that of the race; it may be nil.
	count func() (requests, connections int64)
}

// raceModels compares clients with the two limits.
func (e *Env) raceModels(ctx context.Context, dir string, m modelRace, result *report.Row) error {
	shards := m.tree[:len(e.Sizes.Shards)]
	little := m.tree[len(m.tree)-e.Sizes.ModelSmall:]
	const bytes, requests = "ceiling, bytes", "ceiling, requests"
	clients := m.clients
	subset := map[string]content.Sums{bytes: of(m.sums, shards), requests: of(m.sums, little)}
	for _, top := range []struct {
		name        string
		tree        content.Tree
		connections int
	}{{bytes, shards, largeConnections}, {requests, little, smallConnections}} {
		c, err := m.ceiling(top.name, top.tree, top.connections)
		if err != nil {
			return err
		}
		c.Partial = true
		clients = append(clients, c)
	}
	result.Bytes, result.Files = m.tree.Bytes(), len(m.tree)
	r := e.race(dir, m.sums, clients)
	r.SumsOf, r.Count = subset, m.count
	outcomes, err := r.Run(ctx)
	if err != nil {
		return err
	}
	result.SetClients(outcomes)
	result.Notes = append(result.Notes,
		"the ceilings fetch a part, the shards or the small files; the limits are their time scaled to all bytes and to all files")
	ours, ok := result.Client("kuda")
	if !ok {
		result.Failed = "kuda has no result"
		return nil
	}
	fastest(result, ours, "s5cmd", 0)
	fastest(result, ours, "rclone", 0)
	fastest(result, ours, "mc", 0)
	byBytes, okBytes := result.Client(bytes)
	byRequests, okRequests := result.Client(requests)
	if okBytes && okRequests {
		first := byBytes.Wall * float64(m.tree.Bytes()) / float64(shards.Bytes())
		second := byRequests.Wall * float64(len(m.tree)) / float64(len(little))
		name, limit := "limit by bytes", first
		if second > first {
			name, limit = "limit by requests", second
		}
		result.Ratio("wall: of the larger of its two limits", " s", ours.Wall, limit, false, name, report.AtMost(m.target))
		result.Ratio("wall: of both limits together", " s", ours.Wall, first+second, false, "both limits", nil)
	}
	return nil
}
