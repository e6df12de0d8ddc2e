// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// prometheusServer is a real Prometheus that scrapes one gauge of the test's.
type prometheusServer struct {
	URL    string       `json:"url"`
	errors atomic.Int64 // per thousand
}

func startPrometheus(t *testing.T) *prometheusServer {
	t.Helper()
	p := &prometheusServer{}
	exporter, err := net.Listen("tcp", bridgeAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE shop_error_ratio gauge\nshop_error_ratio %g\n", float64(p.errors.Load())/1000)
	})}
	go func() { _ = server.Serve(exporter) }()
	t.Cleanup(func() { _ = server.Close() })

	runStorage(t, "prometheus", p, "--set", "shop="+exporter.Addr().String())
	return p
}

func (p *prometheusServer) analysis() v1alpha1.RolloutStep {
	return v1alpha1.RolloutStep{Analysis: &v1alpha1.AnalysisStep{
		Prometheus:       &v1alpha1.PrometheusQuery{Address: p.URL, Query: "max(shop_error_ratio)"},
		SuccessCondition: "result[0] < 0.05", Interval: &metav1.Duration{Duration: 2 * time.Second}, Count: 3, FailureLimit: 1,
	}}
}

func share(percent string) v1alpha1.RolloutStep {
	return v1alpha1.RolloutStep{Partition: ptr.To(intstr.FromString(percent))}
}

// TestRolloutByStepsFollowsItsMeasurements goes through a share of the pods, a
// pause and an analysis by a real Prometheus: once well, once not.
func TestRolloutByStepsFollowsItsMeasurements(t *testing.T) {
	prometheus := startPrometheus(t)
	f := newFleet(t, "steps", 4, func(spec *v1alpha1.DataSetSpec, _ *appsv1.Deployment) {
		spec.UpdateStrategy.RollingUpdate = atMost("2")
		spec.FailurePolicy = v1alpha1.FailurePolicyRollback
		spec.UpdateStrategy.Steps = []v1alpha1.RolloutStep{
			share("75%"), {Pause: &v1alpha1.PauseStep{}}, share("50%"), prometheus.analysis(),
			{Pause: &v1alpha1.PauseStep{Duration: &metav1.Duration{Duration: 2 * time.Second}}},
		}
	})
	at := func(step int32) { f.waitStatus(t, time.Minute, atStep(step)) }
	f.edit(t, "v2")
	at(1)
	f.settle(t)
	f.waitVersions(t, map[string]int{"v1": 3, "v2": 1}, 5*time.Second)
	kudaCommand(t, "-n", f.ns, "promote", f.name)
	at(3)
	f.waitVersions(t, map[string]int{"v1": 2, "v2": 2}, 5*time.Second)
	ds := f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
	f.waitVersions(t, map[string]int{"v2": 4}, 5*time.Second)
	if n := len(ds.Status.History); ds.Status.History[n-1].Outcome != v1alpha1.OutcomeSucceeded {
		t.Errorf("history: %+v", ds.Status.History)
	}

	f.edit(t, "v3")
	at(1)
	kudaCommand(t, "-n", f.ns, "promote", f.name)
	at(3)
	prometheus.errors.Store(400)
	ds = f.waitPhase(t, v1alpha1.RolloutRolledBack, time.Minute)
	f.waitVersions(t, map[string]int{"v2": 4}, 5*time.Second)
	if ds.Status.Rollout.Reason != v1alpha1.ReasonAnalysisFailed {
		t.Errorf("reason %s (%s)", ds.Status.Rollout.Reason, ds.Status.Rollout.Message)
	}
	t.Logf("%s: %s", ds.Status.Rollout.Reason, ds.Status.Rollout.Message)
	prometheus.errors.Store(0)
	kudaCommand(t, "-n", f.ns, "retry", f.name)
	at(1)
	kudaCommand(t, "-n", f.ns, "promote", "--full", f.name)
	f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
	f.checkSamples(t)
}
