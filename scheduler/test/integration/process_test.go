// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/scheduler/schedulertest"
)

func keyOf(o client.Object) client.ObjectKey { return client.ObjectKeyFromObject(o) }

// stores are what a NodeStore says.
func (w *world) stores(node string) []v1alpha1.NamespaceStore {
	w.Helper()
	var n v1alpha1.NodeStore
	if err := w.server.Client.Get(w.Context(), client.ObjectKey{Name: node}, &n); err != nil {
		w.Fatal(err)
	}
	return n.Status.Stores
}

func TestKilledSchedulerLeavesNoPodUnplaced(t *testing.T) {
	w := newWorld(t, "n1", "n2", "n3")
	clients, err := kubernetes.NewForConfig(server.Config)
	if err != nil {
		t.Fatal(err)
	}
	w.holds("n2", w.dataSet("models", v1alpha1.PlacementPrefer))
	running := map[int]*schedulertest.Scheduler{}
	for i := range 2 {
		running[i] = start(t, fmt.Sprintf("replica-%d", i))
	}
	leader := func() string {
		var lease *coordinationv1.Lease
		w.eventually("a scheduler leads", func(ctx context.Context) (bool, error) {
			var err error
			lease, err = clients.CoordinationV1().Leases("kuda-system").Get(ctx, "kuda-scheduler", metav1.GetOptions{})
			return err == nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "", nil
		})
		return *lease.Spec.HolderIdentity
	}
	var all []*corev1.Pod
	for round := range 2 {
		leader()
		for i := range 40 {
			all = append(all, w.pod(fmt.Sprintf("p%d-%d", round, i)))
			if i == 20 {
				// All that run are killed, the leader included, and one starts anew.
				for _, s := range running {
					s.Kill()
				}
				running[round] = start(t, fmt.Sprintf("replica-after-%d", round))
			}
		}
	}
	on := map[string]int{}
	for _, p := range all {
		on[w.placed(p)]++
	}
	if on["n2"] != len(all) {
		t.Errorf("%d pods whose data is on n2 are on %v", len(all), on)
	}
}

func TestStandbyTakesOver(t *testing.T) {
	w := newWorld(t, "n1", "n2")
	d := w.dataSet("models", v1alpha1.PlacementRequire)
	first := start(t, "first")
	start(t, "second")
	waits := w.pod("waits")
	w.unplaced(waits)
	first.Kill()
	// The standby has to know of the pod, and of the data.
	w.holds("n2", d)
	if node := w.placed(waits); node != "n2" {
		t.Errorf("the pod is on %s", node)
	}
}

func TestSchedulerWaitsForKudasCRDs(t *testing.T) {
	bare, err := schedulertest.Start(t.TempDir(), manifests, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := bare.InstallRights(t.Context()); err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := bare.Kubeconfig(true)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, server: bare, nodes: map[string]*corev1.Node{}}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}
	w.create(ns)
	w.namespace = ns.Name
	w.node("n1")
	w.node("n2")
	s := startAt(t, bare, kubeconfig, "bare")
	w.placed(w.pod("before"))

	if err := bare.InstallCRDs(); err != nil {
		t.Fatal(err)
	}
	d := w.dataSet("models", v1alpha1.PlacementPrefer)
	w.holds("n2", d)
	// It looks for them again at intervals that grow to half a minute.
	i := 0
	w.eventually("pods go to their data", func(context.Context) (bool, error) {
		i++
		w.placed(w.pod(fmt.Sprintf("after-%d", i)))
		text, err := s.Metrics(t.Context())
		return bytes.Contains(text, []byte(`kuda_scheduler_placements_total{holder="full"}`)), err
	})
}
