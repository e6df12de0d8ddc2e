// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	fwk "k8s.io/kube-scheduler/framework"
)

// The plugin's own metrics; the framework measures how long each of its calls takes.
var (
	placements = metrics.NewCounterVec(&metrics.CounterOpts{
		Name: "kuda_scheduler_placements_total", StabilityLevel: metrics.ALPHA,
		Help: "Pods that want data and were bound, by how much of it their node held: full, partial or none.",
	}, []string{"holder"})
	missingBytes = metrics.NewCounter(&metrics.CounterOpts{
		Name: "kuda_scheduler_missing_bytes_total", StabilityLevel: metrics.ALPHA,
		Help: "Bytes that the nodes of such pods had to download, as far as their size was known.",
	})

	registerOnce sync.Once
)

// registerMetrics may be called once for each profile.
func registerMetrics() {
	registerOnce.Do(func() { legacyregistry.MustRegister(placements, missingBytes) })
}

// PostBind counts where a pod went.
func (p *Plugin) PostBind(_ context.Context, cycle fwk.CycleState, pod *corev1.Pod, node string) {
	p.forgetPod(pod)
	s := stateOf(cycle)
	if s == nil {
		return
	}
	placements.WithLabelValues(s.holdingLabel(node)).Inc()
	missingBytes.Add(float64(s.MissingBytes(node)))
}

// holdingLabel says how much a node has.
func (s *state) holdingLabel(node string) string {
	held, _ := s.On(node)
	switch {
	case held.Items == len(s.Wants):
		return "full"
	case held.Items > 0:
		return "partial"
	}
	return "none"
}
