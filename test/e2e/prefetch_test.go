// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	shards    = 4
	shardSize = 200 << 20
)

// TestPrefetchLeavesOnlyTheSwitch rolls four shards of 200 MiB out to six pods
// of a node each two, with and without prefetching, and says how long a pod
// took from being told to its application reading the new version.
func TestPrefetchLeavesOnlyTheSwitch(t *testing.T) {
	f := newFleet(t, "shards", 6, func(spec *v1alpha1.DataSetSpec, _ *appsv1.Deployment) {
		spec.UpdateStrategy.RollingUpdate = atMost("1")
	})
	put := func(version string, mark byte) {
		f.put(t, version)
		for i := range shards {
			store.putReader(t, fmt.Sprintf("%s%s/shard-%d.bin", f.prefix, version, i),
				io.LimitReader(&marked{mark: mark + byte(i)}, shardSize), shardSize)
		}
	}
	measure := func(version string, prefetch bool) []time.Duration {
		f.eyes.forget()
		f.edit(t, version, func(spec *v1alpha1.DataSetSpec) { spec.Prefetch = prefetch })
		ds := f.waitPhase(t, v1alpha1.RolloutCompleted, 5*time.Minute)
		f.waitVersions(t, map[string]int{version: 6}, 5*time.Second)
		samples := f.samples(t)
		var took []time.Duration
		for _, m := range f.eyes.movesTo(ds.Status.UpdateRevision) {
			seen := samples[m.pod].Files[sampled]
			took = append(took, seen[len(seen)-1].Time.Sub(m.at))
		}
		slices.Sort(took)
		return took
	}
	put("v2", 1)
	put("v3", 101)
	without := measure("v2", false)
	with := measure("v3", true)
	t.Logf("from being told to reading it, per pod: without prefetching %v, with it %v", without, with)
	if len(with) != 6 || len(without) != 6 {
		t.Fatalf("%d and %d moves, want 6 each", len(without), len(with))
	}
	for i := range shards {
		key := fmt.Sprintf("%sv3/shard-%d.bin", f.prefix, i)
		if got := store.served(key).bytes; got < shardSize || got > shardSize*3*101/100 {
			t.Errorf("%s: %d bytes were fetched, want once for each of at most 3 nodes", key, got)
		}
	}
	f.checkSamples(t)
}

// marked is an endless stream of cheap bytes that differ by place and by mark.
type marked struct {
	mark byte
	n    uint32
}

func (m *marked) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 512 {
		p[i], p[min(i+1, len(p)-1)] = byte(m.n), m.mark
		m.n++
	}
	return len(p), nil
}
