//go:build scale

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuda-io/kuda/internal/manager/managertest"
)

var (
	pods      = flag.Int("pods", 1000, "pods, all of which have a runtime")
	dataSets  = flag.Int("datasets", 10, "DataSets that share the pods evenly")
	versions  = flag.Int("versions", 2, "new versions of all DataSets, one after the other")
	delivery  = flag.Duration("delivery", 50*time.Millisecond, "how long a played runtime takes for a version")
	idle      = flag.Duration("idle", 20*time.Second, "how long is measured what is written while nothing changes")
	reviews   = flag.Int("reviews", 500, "reviews of new pods a second, at the webhook's port")
	reviewFor = flag.Duration("review-for", 10*time.Second, "how long reviews are sent, with each number of DataSets")
	reviewOf  = flag.String("review-datasets", "0,1,100,1000", "numbers of DataSets in the namespace of the reviewed pods")
	binaries  = flag.String("bin", "", "directory with kuda-manager and kuda-webhook (required)")
	jsonFile  = flag.String("json", "", "file that the result is written to as JSON")
)

var cluster *managertest.Cluster

func TestMain(m *testing.M) {
	flag.Parse()
	log.SetLogger(logr.Discard())
	var err error
	if cluster, err = managertest.NewCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// TestControlPlane fails where something does not come to its end; the figures are its
// result.
func TestControlPlane(t *testing.T) {
	if *binaries == "" || *pods < *dataSets || *dataSets < 1 {
		t.Fatal("-bin must name the directory of the binaries, and -pods must be at least -datasets")
	}
	r := &result{Pods: *pods, DataSets: *dataSets}
	w := newWorld(t)
	w.prepareReviews(t)
	began := time.Now()
	w.webhook = w.startWebhook(t)
	w.manager = w.startManager(t)
	f := newFleet(t, w)

	measure := func(name string, step func() []time.Duration) {
		t.Helper()
		w.manager.resetPeak(t)
		before := w.sample(t)
		started := time.Now()
		took := step()
		r.add(name, time.Since(started), took, before, w.sample(t))
		t.Log(r.last())
	}
	measure("connect, all at once", func() []time.Duration { return f.connect(t) })
	measure("first delivery", func() []time.Duration { return f.awaitVersion(t, "v1") })
	for n := range *versions {
		version := fmt.Sprintf("v%d", n+2)
		measure("version "+version, func() []time.Duration {
			f.edit(t, version)
			return f.awaitVersion(t, version)
		})
	}
	measure("idle", func() []time.Duration { time.Sleep(*idle); return nil })
	for _, s := range []struct {
		name string
		hard bool
	}{{"SIGTERM, all back", false}, {"SIGKILL, all back", true}} {
		ended := w.sample(t)
		started := time.Now()
		f.expectReturn()
		w.manager.end(t, s.hard)
		w.manager = w.startManager(t)
		took := f.awaitConnected(t)
		after := w.sample(t)
		ended.manager = usage{} // of another process
		r.add(s.name, time.Since(started), took, ended, after)
		t.Log(r.last())
	}
	w.awaitSettled(t, began)
	w.measureReviews(t, r)
	r.print(t)
}
