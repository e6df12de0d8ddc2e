// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// options are the flags.
type options struct {
	Nodes      int  `json:"nodes"`
	Pods       int  `json:"pods"`
	DataSets   int  `json:"dataSets"`
	Holders    int  `json:"holders"`
	Namespaces int  `json:"namespaces"`
	Clients    int  `json:"clients"`
	Runs       int  `json:"runs"`
	Percentage int  `json:"percentageOfNodesToScore"`
	Backlog    bool `json:"backlog"`
	Rules      bool `json:"rules"`

	limit                time.Duration
	scheduler, kwok, dir string
	deploy, out          string
}

var errSizes = errors.New("the numbers must be positive, holders at most nodes, dataSets at least namespaces")

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.Nodes, "nodes", 1000, "simulated nodes")
	f.IntVar(&o.Pods, "pods", 10000, "pods to place in each run")
	f.IntVar(&o.DataSets, "datasets", 50, "DataSets; the pods are divided among them")
	f.IntVar(&o.Holders, "holders", 20, "nodes that hold each DataSet's data")
	f.IntVar(&o.Namespaces, "namespaces", 10, "namespaces that the DataSets are divided among")
	f.IntVar(&o.Clients, "clients", 8, "clients that create the pods")
	f.IntVar(&o.Runs, "runs", 3, "runs with the plugin, and as many without")
	f.IntVar(&o.Percentage, "percentage", 0, "percentageOfNodesToScore, for both; 0: that of the installed configuration")
	f.BoolVar(&o.Backlog, "backlog", true,
		"create all pods before the scheduler starts, so that nothing but it decides how fast they are placed")
	f.BoolVar(&o.Rules, "rules", false,
		"give each pod a node selector, which all nodes match: pods with rules of their own are placed by looking at all nodes")
	f.DurationVar(&o.limit, "limit", 10*time.Minute, "time limit of one run")
	f.StringVar(&o.scheduler, "scheduler", "build/bin/kuda-scheduler", "kuda-scheduler")
	f.StringVar(&o.kwok, "kwok", os.Getenv("KUDA_BENCH_KWOK"), "kwok (KUDA_BENCH_KWOK)")
	f.StringVar(&o.dir, "dir", "build/bench-scheduler", "directory for logs and configurations")
	f.StringVar(&o.deploy, "deploy", "deploy", "directory of the manifests")
	f.StringVar(&o.out, "out", "build/bench-scheduler.json", "file for the result")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.Nodes < 1 || o.Pods < 2 || o.Namespaces < 1 || o.DataSets < o.Namespaces || o.Holders < 1 || o.Holders > o.Nodes ||
		o.Clients < 1 || o.Runs < 1 {
		return nil, errSizes
	}
	if o.kwok == "" {
		return nil, errors.New("-kwok is empty; let it name the binary kwok")
	}
	return o, nil
}
