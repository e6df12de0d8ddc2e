// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package row

import (
	"context"
	"os"
	"path/filepath"

	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/report"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// The targets of an HDFS file.
const (
	hdfsFaster = 2.0
	hdfsCPU    = 0.5
)

func hdfs(ctx context.Context, e *Env, dir string, result *report.Row) error {
	tree := e.Sizes.object()
	files := filepath.Join(dir, "content")
	e.Log("storing %d MiB in HDFS", tree.Bytes()>>20)
	sums, err := tree.Write(files)
	if err != nil {
		return err
	}
	s, err := server.StartHDFS(ctx, e.Cluster, filepath.Join(dir, "server"), files)
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := os.RemoveAll(files); err != nil {
		return err
	}
	at := client.HDFS{Address: s.Addresses[0], User: s.User, Path: "/" + tree[0].Path}
	clients := []client.Client{at.Kuda(e.Kuda)}
	clients = e.with(ctx, clients, "hdfs", func(path string) []client.Client { return []client.Client{at.Colinmarc(path)} })
	clients = append(clients, at.DFS(s.Classpath))
	clients = e.with(ctx, clients, "python", func(path string) []client.Client { return []client.Client{at.Native(path)} })
	result.Bytes, result.Files = tree.Bytes(), len(tree)
	outcomes, err := e.race(dir, sums, clients).Run(ctx)
	if err != nil {
		return err
	}
	startUp, err := e.race(dir, nil, []client.Client{at.DFSStart(s.Classpath)}).Run(ctx)
	if err != nil {
		return err
	}
	result.SetClients(append(outcomes, startUp...))
	result.Notes = append(result.Notes,
		"one datanode, replication 1; hdfs dfs -test is what of hdfs dfs -get is the start of Java, which has no native code of Hadoop")
	ours, ok := result.Client("kuda")
	if !ok {
		result.Failed = "kuda has no result"
		return nil
	}
	fastest(result, ours, "colinmarc", hdfsFaster)
	if c, ok := result.Client("colinmarc"); ok {
		result.Ratio("cpu: share of colinmarc's", " s/GB", ours.CPUPerGB, c.CPUPerGB, false, c.Name, report.AtMost(hdfsCPU))
	}
	fastest(result, ours, "hdfs dfs -get", 0)
	fastest(result, ours, "hdfs-native", 0)
	if get, ok := result.Client("hdfs dfs -get"); ok {
		if test, ok := result.Client("hdfs dfs -test"); ok {
			result.Ratio("wall: times as fast as hdfs dfs -get without its start", " s", get.Wall-test.Wall, ours.Wall, true, get.Name, nil)
		}
	}
	result.Add(report.Check{Metric: "peak RSS", Unit: " MiB", Ours: mib(ours.RSS), Value: mib(ours.RSS)})
	return nil
}
