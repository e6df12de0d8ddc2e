// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestMetricsCountPodsRolloutsAndNodeStores(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	objects := fake.NewClientBuilder().WithScheme(scheme)
	set := func(name, current, update string, phase v1alpha1.RolloutPhase) {
		d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		d.Status.CurrentRevision, d.Status.UpdateRevision = current, update
		d.Status.Rollout = &v1alpha1.RolloutStatus{Revision: update, Phase: phase}
		objects = objects.WithObjects(d)
		for i, revision := range []string{"r0", "r1", "r1", "r2"} {
			objects = objects.WithObjects(&v1alpha1.Data{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "shop", Name: fmt.Sprint(name, i), Labels: map[string]string{v1alpha1.LabelDataSet: name},
				},
				Spec: v1alpha1.DataSpec{Revision: revision},
			})
		}
	}
	set("moving", "r1", "r2", v1alpha1.RolloutStopped)
	set("done", "r1", "r1", v1alpha1.RolloutCompleted)

	for name, store := range map[string]v1alpha1.NamespaceStore{
		"n1": {CapacityBytes: 1000, AvailableBytes: 99},
		"n2": {CapacityBytes: 1000, AvailableBytes: 300, QuotaBytes: 400},
	} {
		objects = objects.WithObjects(&v1alpha1.NodeStore{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     v1alpha1.NodeStoreStatus{Items: 3, Bytes: 7, Stores: []v1alpha1.NamespaceStore{store}},
		})
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(objects.Build()))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if name := family.GetName(); name == "kuda_rollout_pods" || name == "kuda_rollout_phases" {
			for _, metric := range family.GetMetric() {
				got[metric.GetLabel()[0].GetValue()] = metric.GetGauge().GetValue()
			}
		}
		if name := family.GetName(); strings.HasPrefix(name, "kuda_nodestore") {
			got[name] = family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	want := map[string]float64{
		"stable": 4, "update": 1, "other": 3,
		"Delivering": 0, "Prefetching": 0, "Progressing": 0, "Stopped": 1, "RollingBack": 0, "RolledBack": 0, "Completed": 1,
		"kuda_nodestores": 2, "kuda_nodestore_snapshots": 6, "kuda_nodestore_bytes": 14, "kuda_nodestores_tight": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
