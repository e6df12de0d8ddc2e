// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kuda-io/kuda/test/bench/internal/row"
)

// options are the flags.
type options struct {
	rows, beside         string
	runs                 int
	quick, list, alone   bool
	object               int64
	files                int
	limit                time.Duration
	dir, out, cache      string
	kuda, minio, cluster string
	peers                string
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.rows, "row", "", "rows to measure, comma-separated; all without")
	f.BoolVar(&o.list, "list", false, "list the rows and end")
	f.BoolVar(&o.quick, "quick", false, "small sizes and one run: shows that everything works, measures nothing")
	f.BoolVar(&o.alone, "alone", false, "leave other programs out: only Kuda and the ceiling")
	f.StringVar(&o.beside, "beside", "", "other programs to measure Kuda beside, comma-separated; all without")
	f.IntVar(&o.runs, "runs", 0, "runs of each client (default 5; 1 with -quick)")
	f.Int64Var(&o.object, "object-mib", 0, "size of the one large object, in MiB (default 4096; 160 with -quick)")
	f.IntVar(&o.files, "files", 0, "how many small files there are where that is the row (default 10000; 300 with -quick)")
	f.DurationVar(&o.limit, "limit", 3*time.Minute, "time limit of one run")
	f.StringVar(&o.dir, "dir", "build/bench",
		"directory for servers and downloads, on the file system to measure; needs three times the object")
	f.StringVar(&o.out, "out", "build/bench.json", "file for the result")
	f.StringVar(&o.cache, "cache", defaultCache(), "directory to keep other programs in")
	f.StringVar(&o.kuda, "kuda", "build/bin/kuda-runtime", "kuda-runtime")
	f.StringVar(&o.minio, "minio", os.Getenv("KUDA_TEST_MINIO"), "MinIO server (KUDA_TEST_MINIO)")
	f.StringVar(&o.cluster, "cluster", os.Getenv("KUDA_TEST_CLUSTER"), "kuda-cluster, which runs HDFS (KUDA_TEST_CLUSTER)")
	f.StringVar(&o.peers, "peers", "test/bench/peers", "modules of other programs")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.runs == 0 {
		o.runs = 5
		if o.quick {
			o.runs = 1
		}
	}
	if o.runs < 0 || o.object < 0 || o.files < 0 {
		return nil, errors.New("-runs, -object-mib and -files cannot be negative")
	}
	return o, nil
}

// namedPeers returns the names of the programs beside Kuda, nil for all.
func (o *options) namedPeers() []string {
	if o.beside == "" {
		return nil
	}
	return strings.Split(o.beside, ",")
}

func (o *options) sizes() row.Sizes {
	sizes := row.Full()
	if o.quick {
		sizes = row.Quick()
	}
	if o.object > 0 {
		sizes.Object = o.object << 20
	}
	if o.files > 0 {
		sizes.Small = o.files
	}
	return sizes
}

// defaultCache is the benchmark's part of Kuda's cache.
func defaultCache() string {
	root := os.Getenv("KUDA_CACHE")
	if root == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = os.TempDir()
		}
		root = filepath.Join(base, "kuda")
	}
	return filepath.Join(root, "bench")
}
