// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kstatus_test

import (
	"fmt"
	"os"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

var cluster *managertest.Cluster

func TestMain(m *testing.M) {
	if os.Getenv("KUDA_TEST_CLI") == "" {
		fmt.Fprintln(os.Stderr, "KUDA_TEST_CLI is empty; let it name kubectl-kuda, as make integration does")
		os.Exit(1)
	}
	var err error
	if cluster, err = managertest.NewCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// outcome is what others see of a DataSet.
type outcome struct {
	phase  v1alpha1.RolloutPhase
	status status.Status
	// ready and settled: kubectl wait --for=condition=Ready, and for Reconciling=false.
	ready, settled bool
	stalled        bool
	column         string
}

func (s *scene) outcome() outcome {
	s.t.Helper()
	var d v1alpha1.DataSet
	if err := cluster.Client.Get(s.t.Context(), client.ObjectKeyFromObject(s.set), &d); err != nil {
		s.t.Fatal(err)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&d)
	if err != nil {
		s.t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: object}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSet"))
	result, err := status.Compute(u)
	if err != nil {
		s.t.Fatal(err)
	}
	o := outcome{status: result.Status, column: d.Status.Ready, ready: isMet(u, "Ready", "True"),
		settled: isMet(u, "Reconciling", "False"), stalled: isMet(u, "Stalled", "True")}
	if d.Status.Rollout != nil {
		o.phase = d.Status.Rollout.Phase
	}
	return o
}

// isMet reports whether kubectl wait takes a condition as met. One that speaks of an
// earlier generation counts for nothing.
func isMet(u *unstructured.Unstructured, kind, want string) bool {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] != kind {
			continue
		}
		observed, found, _ := unstructured.NestedInt64(condition, "observedGeneration")
		if !found {
			observed, found, _ = unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		}
		return (!found || observed >= u.GetGeneration()) && condition["status"] == want
	}
	return false
}
