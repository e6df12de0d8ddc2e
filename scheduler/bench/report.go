// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// target is the least share of the pods in a second that the plugin may leave.
const target = 0.95

// report is all runs, and what follows from them.
type report struct {
	Options options  `json:"options"`
	CPUs    int      `json:"cpus"`
	With    summary  `json:"with"`
	Without summary  `json:"without"`
	Ratio   float64  `json:"ratio"`
	Runs    []result `json:"runs"`
}

// summary is the medians of the runs of one kind.
type summary struct {
	PodsPerSecond   float64 `json:"podsPerSecond"`
	AlgorithmMicros float64 `json:"algorithmMicroseconds"`
	CPUMicros       float64 `json:"schedulerCPUMicrosecondsPerPod"`
	OnHolders       float64 `json:"onHolders"`
	ResidentBytes   float64 `json:"schedulerResidentBytes"`
	PodMicros       float64 `json:"pluginMicrosecondsPerPod,omitempty"`
	NodeMicros      float64 `json:"pluginMicrosecondsPerNode,omitempty"`
	Costs           []cost  `json:"costs,omitempty"`
}

func (r *report) fillSummaries() {
	var with, without []result
	for _, one := range r.Runs {
		if one.Plugin {
			with = append(with, one)
		} else {
			without = append(without, one)
		}
	}
	r.With, r.Without = summarizeRuns(with, r.Options.Pods), summarizeRuns(without, r.Options.Pods)
	r.Ratio = r.With.PodsPerSecond / r.Without.PodsPerSecond
}

func summarizeRuns(runs []result, pods int) summary {
	of := func(f func(*result) float64) float64 {
		var list []float64
		for i := range runs {
			list = append(list, f(&runs[i]))
		}
		return medianOf(list)
	}
	s := summary{
		PodsPerSecond:   of(func(r *result) float64 { return r.PodsPerSecond }),
		AlgorithmMicros: of(func(r *result) float64 { return r.AlgorithmMicros }),
		CPUMicros:       of(func(r *result) float64 { return r.CPUSeconds / float64(pods) * 1e6 }),
		OnHolders:       of(func(r *result) float64 { return r.OnHolders }),
		ResidentBytes:   of(func(r *result) float64 { return r.ResidentBytes }),
		PodMicros:       of(func(r *result) float64 { return r.PodMicros }),
		NodeMicros:      of(func(r *result) float64 { return r.NodeMicros }),
	}
	for i := range runs {
		for _, c := range runs[i].Costs {
			if !slices.ContainsFunc(s.Costs, func(have cost) bool { return have.Point == c.Point }) {
				s.Costs = append(s.Costs, cost{Point: c.Point, Calls: of(costOf(c.Point, func(c cost) float64 { return c.Calls })),
					Micros: of(costOf(c.Point, func(c cost) float64 { return c.Micros }))})
			}
		}
	}
	return s
}

func costOf(point string, f func(cost) float64) func(*result) float64 {
	return func(r *result) float64 {
		for _, c := range r.Costs {
			if c.Point == point {
				return f(c)
			}
		}
		return 0
	}
}

func medianOf(list []float64) float64 {
	slices.Sort(list)
	switch n := len(list); {
	case n == 0:
		return 0
	case n%2 == 1:
		return list[n/2]
	default:
		return (list[n/2-1] + list[n/2]) / 2
	}
}

func (r *report) saveJSON(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

func (r *report) printTable(out io.Writer) {
	o := r.Options
	fmt.Fprintf(out, "%d pods of %d DataSets, each on %d of %d nodes; %d runs with and %d without the plugin; %d CPUs\n\n",
		o.Pods, o.DataSets, o.Holders, o.Nodes, o.Runs, o.Runs, r.CPUs)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "median\twith\twithout\t")
	for _, line := range []struct {
		name, format  string
		with, without float64
	}{
		{"pods/s", "%.1f", r.With.PodsPerSecond, r.Without.PodsPerSecond},
		{"algorithm, µs/pod", "%.0f", r.With.AlgorithmMicros, r.Without.AlgorithmMicros},
		{"scheduler's CPU, µs/pod", "%.0f", r.With.CPUMicros, r.Without.CPUMicros},
		{"on holders, %", "%.1f", 100 * r.With.OnHolders, 100 * r.Without.OnHolders},
		{"scheduler's memory, MiB", "%.0f", r.With.ResidentBytes / (1 << 20), r.Without.ResidentBytes / (1 << 20)},
	} {
		fmt.Fprintf(t, "%s\t"+line.format+"\t"+line.format+"\t\n", line.name, line.with, line.without)
	}
	_ = t.Flush() // What cannot be printed cannot be complained about either.
	verdict := "reached"
	if r.Ratio < target {
		verdict = "missed"
	}
	fmt.Fprintf(out, "\nwith/without: %.3f (target ≥ %.2f: %s)\n", r.Ratio, target, verdict)
	fmt.Fprintf(out, "the plugin: %.1f µs for each pod, %.2f µs for each node", r.With.PodMicros, r.With.NodeMicros)
	for _, c := range r.With.Costs {
		fmt.Fprintf(out, "; %s %.2f µs", c.Point, c.Micros)
	}
	fmt.Fprintln(out)
}
