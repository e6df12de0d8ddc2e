// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// plugin is the one that is measured.
const plugin = "DataLocality"

// cost is how long calls of the plugin took: those of one extension point.
type cost struct {
	Point string  `json:"point"`
	Calls float64 `json:"calls"`
	// Micros is the mean of one call.
	Micros float64 `json:"microseconds"`
}

// result is one run.
type result struct {
	Plugin        bool    `json:"plugin"`
	Seconds       float64 `json:"seconds"`
	PodsPerSecond float64 `json:"podsPerSecond"`
	// OnHolders is the share of pods on nodes that hold their data.
	OnHolders     float64 `json:"onHolders"`
	CreateSeconds float64 `json:"createSeconds"`
	// AlgorithmMicros is the mean of what a pod's scheduling took, without binding.
	AlgorithmMicros float64 `json:"algorithmMicroseconds"`
	CPUSeconds      float64 `json:"schedulerCPUSeconds"`
	ResidentBytes   float64 `json:"schedulerResidentBytes"`
	// Costs of the plugin, by the framework's own clock, which samples.
	Costs []cost `json:"costs,omitempty"`
	// PodMicros is the sum of the means of the calls that are made once for a pod,
	// NodeMicros of those that are made for each node.
	PodMicros  float64 `json:"pluginMicrosecondsPerPod,omitempty"`
	NodeMicros float64 `json:"pluginMicrosecondsPerNode,omitempty"`
}

// readMetrics takes over the scheduler's own metrics.
func (r *result) readMetrics(text []byte) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("reading the scheduler's metrics: %w", err)
	}
	algorithm := sumHistograms(families["scheduler_scheduling_algorithm_duration_seconds"], func(*dto.Metric) bool { return true })
	r.AlgorithmMicros = algorithm.meanMicros()
	r.CPUSeconds = metricValue(families["process_cpu_seconds_total"])
	r.ResidentBytes = metricValue(families["process_resident_memory_bytes"])
	calls := families["scheduler_plugin_execution_duration_seconds"]
	for _, point := range extensionPoints(calls) {
		s := sumHistograms(calls, func(m *dto.Metric) bool {
			return labelValue(m, "plugin") == plugin && labelValue(m, "extension_point") == point
		})
		if s.count == 0 {
			continue
		}
		r.Costs = append(r.Costs, cost{Point: point, Calls: s.count, Micros: s.meanMicros()})
		if point == "Filter" || point == "Score" {
			r.NodeMicros += s.meanMicros()
		} else {
			r.PodMicros += s.meanMicros()
		}
	}
	return nil
}

type summed struct{ count, seconds float64 }

func (s summed) meanMicros() float64 {
	if s.count == 0 {
		return 0
	}
	return s.seconds / s.count * 1e6
}

func sumHistograms(family *dto.MetricFamily, take func(*dto.Metric) bool) summed {
	var s summed
	for _, m := range family.GetMetric() {
		if take(m) {
			s.count += float64(m.GetHistogram().GetSampleCount())
			s.seconds += m.GetHistogram().GetSampleSum()
		}
	}
	return s
}

func extensionPoints(family *dto.MetricFamily) []string {
	var list []string
	for _, m := range family.GetMetric() {
		if point := labelValue(m, "extension_point"); !slices.Contains(list, point) {
			list = append(list, point)
		}
	}
	slices.SortFunc(list, strings.Compare)
	return list
}

func labelValue(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func metricValue(family *dto.MetricFamily) float64 {
	for _, m := range family.GetMetric() {
		return m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return 0
}
