// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// BenchmarkManySnapshots has a keeper look after 200 snapshots of 10,000 files in 20
// namespaces, compare one of them, and then do nothing. It reports the memory that is
// resident (rss-MiB), the processor time of looking at and comparing all that
// (busy-ms), and that of a minute in which nothing changes (idle-ms/min).
//
// The files of a store are the same ones under many names; a manifest lists 10,000.
// KUDA_BENCH_SNAPSHOTS and KUDA_BENCH_FILES choose other numbers, KUDA_BENCH_IDLE how long
// nothing is done (10s).
func BenchmarkManySnapshots(b *testing.B) {
	snapshots, files := envNumber("KUDA_BENCH_SNAPSHOTS", 200), envNumber("KUDA_BENCH_FILES", 10_000)
	idle, err := time.ParseDuration(orDefault(os.Getenv("KUDA_BENCH_IDLE"), "10s"))
	if err != nil {
		b.Fatal(err)
	}
	debug.SetGCPercent(50)
	bench := newBench(b)
	const namespaces = 20
	for i := range snapshots {
		bench.writeSnapshot(place("n"+strconv.Itoa(i%namespaces), i%namespaces), i, files, i == 0)
	}
	bench.options.VerifyEvery = 24 * time.Hour
	bench.options.Pace.Look, bench.options.Pace.Repeat = time.Minute, 5*time.Minute
	for b.Loop() {
		before := cpuTime(b)
		bench.start()
		bench.lookTwice()
		// All are due; those in doubt are left to runtimes.
		bench.clock.advance(48 * time.Hour)
		bench.keeper.signalChange()
		for again := time.NewTicker(10 * time.Millisecond); !bench.keeper.verifier.verifiedOnce(place("n0", 0)); {
			<-again.C
		}
		b.ReportMetric(float64(cpuTime(b)-before)/1e6, "busy-ms")
		b.ReportMetric(float64(residentBytes(b))/(1<<20), "rss-MiB")
		time.Sleep(5 * time.Second) // what was begun may end: the measurement is of silence
		before = cpuTime(b)
		time.Sleep(idle)
		b.ReportMetric(float64(cpuTime(b)-before)/1e6*float64(time.Minute)/float64(idle), "idle-ms/min")
	}
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func envNumber(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}

// writeSnapshot writes a snapshot with a manifest of that many files. Only with data are
// there files: all hard links to one.
func (b *bench) writeSnapshot(p census.Place, n, files int, data bool) {
	b.t.Helper()
	s := b.open(p)
	defer func() { _ = s.Close() }()
	key := keyOf(strconv.Itoa(n))
	dir := filepath.Join(b.root(p), store.SnapshotsDir, string(key.ID()))
	if err := os.MkdirAll(filepath.Join(dir, snapshot.DataDir), 0o755); err != nil {
		b.t.Fatal(err)
	}
	const content = "content"
	sum, err := digest.Reader(strings.NewReader(content), digest.XXH3, make([]byte, 1<<20))
	if err != nil {
		b.t.Fatal(err)
	}
	first := filepath.Join(dir, "first")
	if err := os.WriteFile(first, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0)
	if err := os.Chtimes(first, at, at); err != nil {
		b.t.Fatal(err)
	}
	m := &snapshot.Manifest{Format: snapshot.Format, Key: key, Files: files}
	listing := digest.NewListing(digest.XXH3)
	for i := range files {
		e := snapshot.Entry{Path: fmt.Sprintf("part-%05d.parquet", i), Size: int64(len(content)), Mode: 0o644, Digest: sum,
			Identity: `"0123456789abcdef0123456789abcdef"`, Modified: at.UnixNano()}
		m.Entries, m.Bytes = append(m.Entries, e), m.Bytes+e.Size
		listing.Add(e.Path, e.Digest)
		if data {
			if err := os.Link(first, filepath.Join(dir, snapshot.DataDir, e.Path)); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	m.Digest = listing.Digest()
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, snapshot.ManifestName), text, 0o644); err != nil {
		b.t.Fatal(err)
	}
	if data {
		return
	}
	// It is in doubt, so that a runtime and not the keeper would read it.
	if err := os.WriteFile(filepath.Join(b.root(p), store.LocksDir, store.SuspectName(key.ID())), nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func cpuTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func residentBytes(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// verifiedOnce reports whether a snapshot of a store was found to be right.
func (v *verifier) verifiedOnce(p census.Place) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, e := range v.known {
		if key.place == p && !e.at.IsZero() {
			return true
		}
	}
	return false
}
