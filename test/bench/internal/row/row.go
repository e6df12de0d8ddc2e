// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kuda-io/kuda/test/bench/internal/ceiling"
	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/content"
	"github.com/kuda-io/kuda/test/bench/internal/peer"
	"github.com/kuda-io/kuda/test/bench/internal/race"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// Row is one comparison.
type Row struct {
	Name, Title string
	// run measures in a directory of its own that is removed afterwards.
	run func(ctx context.Context, e *Env, dir string, result *report.Row) error
}

// Env is what rows have in common.
type Env struct {
	// Kuda is kuda-runtime, Self this program, MinIO a server, Cluster is
	// kuda-cluster, which runs HDFS.
	Kuda, Self, MinIO, Cluster string
	Peers                      *peer.Set
	// Alone leaves all other programs out, and Only those that it does not name.
	Alone bool
	Only  []string
	// Dir is the directory for everything, on the file system that is measured.
	Dir   string
	Runs  int
	Limit time.Duration
	Sizes Sizes
	Log   func(format string, args ...any)
}

// All rows, in the order in which they are run.
func All() []Row {
	return []Row{
		{"object-minio", "one large object, S3 on MinIO", objectMinIO},
		{"object-light", "one large object, S3 on a light server (versitygw over plain files)", objectLight},
		{"object-http", "one large object, HTTP from nginx with sendfile", objectHTTP},
		{"hdfs", "one large HDFS file in blocks of 128 MiB", hdfs},
		{"small-minio", "10 KiB files in 100 directories, S3 on MinIO", smallMinIO},
		{"small-light", "10 KiB files in 100 directories, S3 on a light server", smallLight},
		{"models", "a model repository: shards, middle-sized and small files, S3 on MinIO", models},
		{"update-paths", "from v1/ to v2/: one shard of six and 50 small files changed", updatePaths},
		{"update-inplace", "the same change at the same path", updateInPlace},
		{"fanout", "the same data for many pods of one node", fanout},
		{"taker", "a pod that takes what another one of its node has brought", taker},
		{"memory", "the sidecar, idle and downloading", memory},
		{"object-region", "one large object, S3 on MinIO 30 ms away, 85 MB/s a connection", objectFrom(region)},
		{"object-far", "one large object, S3 on MinIO 100 ms away, 40 MB/s a connection", objectFrom(far)},
		{"small-region", "10 KiB files in 100 directories, S3 on MinIO 30 ms away", smallFrom(region)},
		{"small-far", "10 KiB files in 100 directories, S3 on MinIO 100 ms away", smallFrom(far)},
		{"small-lossy", "10 KiB files in 100 directories, 30 ms away, with answers cut, stalled and refused", smallFrom(lossy)},
		{"single-region", "one file of 1 KiB, S3 on MinIO 30 ms away", singleFrom(region)},
		{"models-region", "a model repository, S3 on MinIO 30 ms away", modelsFrom(region)},
		{"update-region", "from v1/ to v2/, 30 ms away: one shard of six and 50 small files changed", updateFrom(region)},
	}
}

// Run runs a row. What goes wrong is part of the result. Its files are emptied
// and stay (race.Empty) until Clean.
func (r Row) Run(ctx context.Context, e *Env) *report.Row {
	result := &report.Row{Name: r.Name, Title: r.Title}
	dir := filepath.Join(e.Dir, r.Name)
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "runs"), 0o755)
	}
	if err == nil {
		err = r.run(ctx, e, dir, result)
	}
	if err != nil {
		result.Failed = err.Error()
		e.Log("%s failed: %v", r.Name, err)
	}
	if err := race.Empty(dir); err != nil {
		result.Notes = append(result.Notes, err.Error())
	}
	return result
}

// Clean removes what the row left.
func (r Row) Clean(e *Env) error { return os.RemoveAll(filepath.Join(e.Dir, r.Name)) }

// race returns one with the settings that rows share.
func (e *Env) race(dir string, sums content.Sums, clients []client.Client) *race.Race {
	return &race.Race{Clients: clients, Runs: e.Runs, Limit: e.Limit, Dir: filepath.Join(dir, "runs"), Sums: sums, Log: e.Log}
}

// with adds the clients that a tool has, or one that is broken.
func (e *Env) with(ctx context.Context, all []client.Client, tool string, of func(path string) []client.Client) []client.Client {
	if e.Alone || len(e.Only) > 0 && !slices.Contains(e.Only, tool) {
		return all
	}
	t, err := e.Peers.Get(ctx, tool)
	if err != nil {
		return append(all, client.Broken(tool, err))
	}
	return append(all, of(t.Path)...)
}

// startS3 starts a server, "minio" or "light", and stores a tree under a prefix.
// The tree's own files are emptied: they would only take room in the page cache.
func (e *Env) startS3(ctx context.Context, kind, dir, prefix string, tree content.Tree) (*server.S3, content.Sums, error) {
	s, err := e.emptyS3(ctx, kind, dir)
	if err != nil {
		return nil, nil, err
	}
	e.Log("storing %d files, %d MiB", len(tree), tree.Bytes()>>20)
	files := filepath.Join(dir, "content")
	sums, err := tree.Write(files)
	if err == nil {
		err = s.PutTree(ctx, prefix, files)
	}
	if err == nil {
		err = race.Empty(files)
	}
	if err != nil {
		s.Stop()
		return nil, nil, err
	}
	return s, sums, nil
}

func (e *Env) emptyS3(ctx context.Context, kind, dir string) (*server.S3, error) {
	dir = filepath.Join(dir, "server")
	if kind == "minio" {
		return server.MinIO(ctx, e.MinIO, dir)
	}
	t, err := e.Peers.Get(ctx, "versitygw")
	if err != nil {
		return nil, err
	}
	return server.Light(ctx, t.Path, dir)
}

// Connections of the ceiling, and the size of its ranges.
const (
	largeConnections = 4
	smallConnections = 16
	rangeBytes       = 64 << 20
)

// ceiling returns the client that only receives and writes a tree.
func (e *Env) ceiling(ctx context.Context, dir, name string, s *server.S3, prefix string, tree content.Tree,
	connections int) (client.Client, error) {
	job := ceiling.Job{Connections: connections, RangeBytes: rangeBytes}
	for _, f := range tree {
		url, err := s.Signed(ctx, prefix+f.Path)
		if err != nil {
			return client.Client{}, err
		}
		job.Objects = append(job.Objects, ceiling.Object{URL: url, Path: f.Path, Size: f.Size})
	}
	return e.saved(dir, name, job)
}

// saved is the ceiling with a job.
func (e *Env) saved(dir, name string, job ceiling.Job) (client.Client, error) {
	path := filepath.Join(dir, name+".job")
	if err := job.Save(path); err != nil {
		return client.Client{}, fmt.Errorf("saving the ceiling's job: %w", err)
	}
	c := client.NewCeiling(e.Self, path)
	c.Name = name
	return c, nil
}

// of returns the sums of a part of a tree.
func of(sums content.Sums, tree content.Tree) content.Sums {
	part := make(content.Sums, len(tree))
	for _, f := range tree {
		part[f.Path] = sums[f.Path]
	}
	return part
}
