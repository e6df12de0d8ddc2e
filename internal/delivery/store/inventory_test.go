// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

func stock(t *testing.T, s *Store) *Stock {
	t.Helper()
	k, err := s.Stock()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestUnneededSnapshotsCountAsAvailableSpace(t *testing.T) {
	needed, wanted := map[snapshot.ID]bool{}, map[snapshot.ID]bool{}
	s := open(t, Options{Quota: 1000, Needed: func() (map[snapshot.ID]bool, error) { return needed, nil },
		Wanted: func() (map[snapshot.ID]bool, error) { return wanted, nil }})
	check := func(what string, used, available int64) {
		t.Helper()
		if k := stock(t, s); k.Quota != 1000 || k.Used != used || k.Available != available || k.Capacity == 0 || k.Free == 0 {
			t.Errorf("%s: %+v", what, k)
		}
	}
	check("empty", 0, 1000)
	l := add(t, s, key("leased"), strings.Repeat("x", 100))
	check("leased", 100, 900)
	closeLease(t, l)
	check("cached", 100, 1000)
	needed[key("leased").ID()] = true
	check("needed", 100, 900)
	closeLease(t, add(t, s, key("wanted"), strings.Repeat("x", 50)))
	wanted[key("wanted").ID()] = true
	check("wanted", 150, 900)
	w := writer(t, s, key("next"))
	if err := w.Reserve(300, 300); err != nil {
		t.Fatal(err)
	}
	check("downloading", 150, 600)
	if k := stock(t, s); len(k.Downloads) != 1 || k.Downloads[0].Bytes != 300 || len(k.Snapshots) != 2 {
		t.Errorf("got %+v", k)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check("left behind", 150, 900)
	if k := stock(t, s); len(k.Downloads) != 0 {
		t.Error("an abandoned download counts as being downloaded")
	}
}

func TestReserveDoesNotCountAsAvailableSpace(t *testing.T) {
	s := open(t, Options{})
	k := stock(t, s)
	s.space.options.Reserve = Amount{Bytes: k.Free / 2}
	if half := stock(t, s); half.Available > k.Free*3/4 || half.Available < k.Free/4 {
		t.Errorf("%d of %d", half.Available, k.Free)
	}
	s.space.options.Reserve = Amount{Percent: 100}
	if none := stock(t, s); none.Available != 0 {
		t.Errorf("got %d", none.Available)
	}
}

func TestCachedSnapshotsAreEvictedBeforePreheatedOnes(t *testing.T) {
	wanted := map[snapshot.ID]bool{key("wanted").ID(): true}
	s := open(t, Options{Quota: 1000, High: 10, Low: 5, Wanted: func() (map[snapshot.ID]bool, error) { return wanted, nil }})
	fill := func(versions ...string) {
		t.Helper()
		for _, version := range versions {
			closeLease(t, add(t, s, key(version), strings.Repeat("x", 400)))
		}
	}
	left := func(what, want string) {
		t.Helper()
		if got := stored(t, s); got != want {
			t.Errorf("%s: left %q", what, got)
		}
	}
	fill("wanted", "cached")
	w := writer(t, s, key("next"))
	if err := w.Reserve(500, 500); err != nil {
		t.Error(err)
	}
	left("the cache goes first, though used later", "wanted")
	if err := w.Reserve(700, 700); err == nil {
		t.Error("an abandoned download has the room of what is preheated")
	}
	left("not urgent", "wanted")
	if evicted, err := s.Evict(key("wanted").ID()); evicted || err != nil {
		t.Errorf("Evict: %t, %v", evicted, err)
	}
	if pruned, err := s.Prune(0, false); err != nil || len(pruned) > 0 {
		t.Errorf("Prune: %v, %v", pruned, err)
	}
	if err := s.Collect(); err != nil {
		t.Error(err)
	}
	left("tidied above the watermark", "wanted")
	w.Urgent = true
	if err := w.Reserve(600, 600); err != nil {
		t.Error(err)
	}
	left("urgent, with room beside it", "wanted")
	if err := w.Reserve(1001, 1001); err == nil {
		t.Error("there is more room than the quota")
	}
	left("urgent, in vain", "wanted")
	if err := w.Reserve(700, 700); err != nil {
		t.Error(err)
	}
	left("urgent", "")
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
	fill("wanted", "cached")
	w = writer(t, s, key("next"))
	w.Urgent = true
	if err := w.Reserve(500, 500); err != nil {
		t.Error(err)
	}
	left("urgent, with something cached", "wanted")
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
}
