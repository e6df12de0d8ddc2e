//go:build scale

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// result is all figures of one run.
type result struct {
	Pods     int
	DataSets int
	Steps    []step
}

// step is one row. Times are in milliseconds, memory is in MiB.
type step struct {
	Name             string
	Took             int64
	P50, P99, Last   int64
	CPU              int64
	Resident, Peak   int64
	Calls            map[string]int64
	StoredWritesEach float64
}

// stored are the calls that the API server stores for a version of the data; leases go by time.
var stored = []string{"datas", "datas/status", "datasets/status", "events", "controllerrevisions", "nodestores", "nodestores/status"}

func (r *result) add(name string, took time.Duration, each []time.Duration, before, after sample) {
	s := step{
		Name: name, Took: took.Milliseconds(), CPU: (after.manager.cpu - before.manager.cpu).Milliseconds(),
		Resident: after.manager.resident >> 20, Peak: after.manager.peak >> 20, Calls: callsBetween(before, after),
	}
	s.P50, s.P99, s.Last = quantile(each, 0.5), quantile(each, 0.99), quantile(each, 1)
	var writes int64
	for _, name := range stored {
		writes += s.Calls[name]
	}
	s.StoredWritesEach = float64(writes) / float64(r.Pods)
	r.Steps = append(r.Steps, s)
}

// quantile returns the time below which that share of the times is, in milliseconds.
func quantile(times []time.Duration, share float64) int64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))].Milliseconds()
}

func (r *result) last() string { return r.Steps[len(r.Steps)-1].line() }

func (s step) line() string {
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(s.Calls)) {
		calls = append(calls, fmt.Sprintf("%s %d", name, s.Calls[name]))
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %d | %d | %.2f | %s |",
		s.Name, s.Took, s.P50, s.P99, s.Last, s.CPU, s.Resident, s.Peak, s.StoredWritesEach, strings.Join(calls, ", "))
}

// print prints the table, and writes the JSON.
func (r *result) print(t *testing.T) {
	t.Helper()
	fmt.Printf("\n%d pods, %d DataSets\n\n", r.Pods, r.DataSets)
	fmt.Println("| step | took ms | p50 ms | p99 ms | last ms | manager's CPU ms | RSS MiB | peak MiB | stored writes per pod | calls |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for _, s := range r.Steps {
		fmt.Println(s.line())
	}
	if *jsonFile == "" {
		return
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*jsonFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
