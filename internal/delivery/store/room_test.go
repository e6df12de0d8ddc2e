// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

func TestRoomIsPromisedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		room           room
		total, missing int64
		fits           bool
		lacks          InsufficientSpaceError
	}{
		"no quota, free":     {room{free: 100}, 100, 100, true, InsufficientSpaceError{}},
		"no quota, not free": {room{free: 99}, 100, 100, false, InsufficientSpaceError{Needed: 100, Free: 99}},
		"resumed":            {room{free: 10}, 100, 10, true, InsufficientSpaceError{}},
		"promised to others": {room{free: 100, promised: 60, missing: 60}, 50, 50, false, InsufficientSpaceError{Needed: 50, Free: 40}},
		"others have theirs": {room{free: 100, promised: 60}, 50, 50, true, InsufficientSpaceError{}},
		"into the reserve": {room{free: 50 << 20, reserve: 30 << 20}, 21 << 20, 21 << 20, false,
			InsufficientSpaceError{Needed: 21 << 20, Free: 20 << 20}},
		"beside the reserve":      {room{free: 50 << 20, reserve: 30 << 20}, 20 << 20, 20 << 20, true, InsufficientSpaceError{}},
		"reserve used by others":  {room{free: 20 << 20, reserve: 30 << 20}, 17 << 20, 17 << 20, false, InsufficientSpaceError{Needed: 17 << 20}},
		"small, into the reserve": {room{free: 20 << 20, reserve: 30 << 20}, 16 << 20, 16 << 20, true, InsufficientSpaceError{}},
		"large, little missing":   {room{free: 20 << 20, reserve: 30 << 20}, 17 << 20, 1, false, InsufficientSpaceError{Needed: 1}},
		"just the quota":          {room{quota: 100, used: 50, promised: 20, free: 1000}, 30, 30, true, InsufficientSpaceError{}},
		"over the quota": {room{quota: 100, used: 50, promised: 21, free: 1000}, 30, 30, false,
			InsufficientSpaceError{Needed: 30, Free: 29, Quota: true}},
		"over the quota, resumed": {room{quota: 100, used: 90, free: 1000}, 30, 0, false,
			InsufficientSpaceError{Needed: 30, Free: 10, Quota: true}},
	} {
		if got := c.room.hasRoom(c.total, c.missing); got != c.fits {
			t.Errorf("%s: fits is %t", name, got)
		}
		if e, ok := errors.AsType[*InsufficientSpaceError](c.room.spaceError(c.total, c.missing)); !c.fits && (!ok || *e != c.lacks) {
			t.Errorf("%s: got %+v", name, e)
		}
	}
}

func TestWatermarksAreOfTheQuotaAndOfTheFileSystem(t *testing.T) {
	for name, c := range map[string]struct {
		room room
		want bool
	}{
		"at the quota's":                   {room{quota: 1000, used: 800, size: 1000, free: 1}, false},
		"above the quota's":                {room{quota: 1000, used: 801}, true},
		"with what is promised":            {room{quota: 1000, used: 700, promised: 101}, true},
		"at the file system's":             {room{size: 1000, free: 200, reserve: 100}, false},
		"above the file system's":          {room{size: 1000, free: 199, reserve: 100}, true},
		"without a reserve":                {room{size: 1000, free: 0}, false},
		"below the quota's, a full system": {room{quota: 1000, size: 1000, free: 199, reserve: 100}, true},
		"twice a small reserve":            {room{size: 1000, free: 20, reserve: 10}, false},
		"less than twice a small reserve":  {room{size: 1000, free: 19, reserve: 10}, true},
		"a reserve that cannot be":         {room{size: 1000, free: 999, reserve: math.MaxInt64}, true},
	} {
		if got := c.room.isAbove(80); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestCollectEvictsFromTheHighToTheLowWatermark(t *testing.T) {
	s := open(t, Options{Quota: 1000, High: 80, Low: 50})
	fill := func(versions ...string) {
		for _, version := range versions {
			closeLease(t, add(t, s, key(version), strings.Repeat("x", 200)))
		}
	}
	fill("1", "2", "3", "4")
	if err := s.Collect(); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, s); got != "1 2 3 4" {
		t.Errorf("at the watermark: %s", got)
	}
	fill("5")
	if err := s.Collect(); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, s); got != "4 5" {
		t.Errorf("above the watermark: %s", got)
	}
}

func TestADownloadOnItsWayCountsInEveryProcess(t *testing.T) {
	s := open(t, Options{Quota: 1000})
	other := open(t, Options{Root: s.Root(), Quota: 1000})
	first, second := writer(t, s, key("1")), writer(t, other, key("2"))
	if err := first.Reserve(600, 600); err != nil {
		t.Fatal(err)
	}
	err := second.Reserve(500, 500)
	if e, ok := errors.AsType[*InsufficientSpaceError](err); !ok || e.Free != 400 {
		t.Fatalf("got %v", err)
	}
	if err := second.Reserve(400, 400); err != nil {
		t.Fatal(err)
	}
	// What is reserved again replaces what was.
	if err := first.Reserve(600, 0); err != nil {
		t.Error(err)
	}
	if err := first.Discard(); err != nil {
		t.Fatal(err)
	}
	if err := second.Reserve(1000, 1000); err != nil {
		t.Error(err)
	}
	if err := second.Discard(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatADeadWriterReservedIsGivenToTheNext(t *testing.T) {
	s := open(t, Options{Quota: 1000})
	dead := writer(t, s, key("dead"))
	if err := dead.Reserve(900, 900); err != nil {
		t.Fatal(err)
	}
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	w := writer(t, s, key("next"))
	if err := w.Reserve(500, 500); err != nil {
		t.Fatal(err)
	}
	if isDir(s.partialDir(key("dead").ID())) {
		t.Error("its leftovers are still there")
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAPodNeedsIsNotEvictedWithoutALeaseEither(t *testing.T) {
	needed := map[snapshot.ID]bool{key("needed").ID(): true}
	s := open(t, Options{Quota: 1000, Needed: func() (map[snapshot.ID]bool, error) { return needed, nil }})
	for _, version := range []string{"needed", "other"} {
		closeLease(t, add(t, s, key(version), strings.Repeat("x", 400)))
	}
	if evicted, err := s.Evict(key("needed").ID()); evicted || err != nil {
		t.Errorf("Evict: %t, %v", evicted, err)
	}
	w := writer(t, s, key("next"))
	if err := w.Reserve(600, 600); err != nil {
		t.Error(err)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
	if pruned, err := s.Prune(0, false); err != nil || len(pruned) > 0 {
		t.Errorf("Prune: %v, %v", pruned, err)
	}
	if got := stored(t, s); got != "needed" {
		t.Errorf("left: %s", got)
	}
}

func TestNothingIsEvictedWhileTheNeededSnapshotsAreUnknown(t *testing.T) {
	unknown := errors.New("unknown")
	s := open(t, Options{Quota: 100, High: 1, Low: 1, Needed: func() (map[snapshot.ID]bool, error) { return nil, unknown }})
	closeLease(t, add(t, s, key("1"), strings.Repeat("x", 50)))
	if err := s.Collect(); !errors.Is(err, unknown) {
		t.Errorf("Collect: %v", err)
	}
	if _, err := s.Prune(0, false); !errors.Is(err, unknown) {
		t.Errorf("Prune: %v", err)
	}
	if got := stored(t, s); got != "1" {
		t.Errorf("left: %s", got)
	}
}

func TestADryRunEvictsNothingAndSaysWhatItWould(t *testing.T) {
	s := open(t, Options{})
	for i, version := range []string{"1", "2", "leased"} {
		l := add(t, s, key(version), "12345")
		if version != "leased" {
			closeLease(t, l)
		}
		used(t, s, key(version), time.Duration(10-i)*time.Hour)
	}
	for _, dry := range []bool{true, false} {
		pruned, err := s.Prune(11, dry)
		if err != nil || len(pruned) != 1 || pruned[0].Key.Version != "1" {
			t.Errorf("dry %t: %v, %v", dry, pruned, err)
		}
	}
	if pruned, err := s.Prune(0, true); err != nil || len(pruned) != 1 {
		t.Errorf("got %v, %v", pruned, err)
	}
	if got := stored(t, s); got != "2 leased" {
		t.Errorf("left: %s", got)
	}
}

func TestAmountsAreReadOrRefused(t *testing.T) {
	for text, want := range map[string]Amount{
		"0": {}, "123": {Bytes: 123}, "5Gi": {Bytes: 5 << 30}, "2k": {Bytes: 2000}, "1T": {Bytes: 1e12}, "3Pi": {Bytes: 3 << 50},
		"2E": {Bytes: 2e18}, "15%": {Percent: 15}, "0%": {},
	} {
		if got, err := ParseAmount(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
		if got, err := ParseAmount(want.String()); err != nil || got != want {
			t.Errorf("%q is written as %q, which is %v, %v", text, want, got, err)
		}
	}
	for _, text := range []string{"", "-1", "101%", "1.5Gi", "Gi", "%", "9000000Ti", "8Ei", "5 Gi", "5GB"} {
		if got, err := ParseAmount(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if got := (Amount{Percent: 15}).Of(1 << 60); got != 1<<60/100*15+(1<<60%100)*15/100 {
		t.Errorf("15 %% of 1 EiB is %d", got)
	}
}

func TestLinksInTheStoreAreNotFollowed(t *testing.T) {
	s := open(t, Options{Quota: 10, High: 1, Low: 1})
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, snapshot.ManifestName), []byte(`{"format":1,"bytes":100,"entries":[]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	id := key("1").ID()
	for _, path := range []string{s.snapshotDir(id), s.partialDir(key("2").ID()), filepath.Join(string(s.trash), "x")} {
		if err := os.Symlink(outside, path); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.Snapshots(); err != nil || len(list) > 0 {
		t.Errorf("got %v, %v", list, err)
	}
	if list, err := s.Downloads(); err != nil || len(list) > 0 {
		t.Errorf("got %v, %v", list, err)
	}
	if _, err := s.Lease(id); !errors.Is(err, ErrNotStored) {
		t.Errorf("got %v", err)
	}
	if err := s.Collect(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(outside, snapshot.ManifestName)); err != nil {
		t.Errorf("what the link leads to: %v", err)
	}
}
