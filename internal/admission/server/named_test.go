// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/pki"
)

// naming is a replica that names its DataSets and waits for them.
func naming(ns, names string) *corev1.Pod {
	pod := replica(ns)
	pod.Annotations = map[string]string{v1alpha1.AnnotationDataSets: names}
	pod.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionRequired
	return pod
}

// second is another DataSet for the same pods.
func second(ns string) *v1alpha1.DataSet {
	d := plain(ns, "index")
	d.Spec.Template.DataItems[0].LocalPath = "index"
	return d
}

func TestAPodThatNamesItsDataSetsWaitsForThem(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	for name, labels := range map[string]map[string]string{
		"an open namespace": nil, "one that requires injection": {v1alpha1.LabelInjection: v1alpha1.InjectionRequired},
	} {
		ns := namespace(t, labels)
		refused := func(want ...string) {
			t.Helper()
			err := admin.Create(t.Context(), naming(ns, "index,model"))
			if !apierrors.IsForbidden(err) {
				t.Fatalf("%s: got %v", name, err)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s: got %v, want %q", name, err, w)
				}
			}
		}
		refused("there is no DataSet index in namespace "+ns, "no DataSet model", "tries again by itself")
		if err := admin.Create(t.Context(), dataSet(ns)); err != nil {
			t.Fatal(err)
		}
		refused("there is no DataSet index")
		other := second(ns)
		other.Spec.WorkloadSelector = map[string]string{"app": "search", "tier": "front"}
		if err := admin.Create(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		refused("DataSet index does not select it: the pod lacks the label tier=front")
		if err := edit(t, admin, other, func(s *v1alpha1.DataSetSpec) { delete(s.WorkloadSelector, "tier") }); err != nil {
			t.Fatal(err)
		}
		pod := naming(ns, "index,model")
		if err := admin.Create(t.Context(), pod); err != nil || pod.Annotations[v1alpha1.AnnotationInjected] != "index,model" {
			t.Errorf("%s: got %v, %v", name, err, pod.Annotations)
		}
	}
}

// TestPodsThatFollowSeveralDataSetsHaveThemAll: nothing is waited for between the DataSets
// and the pod, so that watch events have no time.
func TestPodsThatFollowSeveralDataSetsHaveThemAll(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	for range 10 {
		ns := namespace(t, nil)
		for _, d := range []*v1alpha1.DataSet{dataSet(ns), second(ns)} {
			if err := admin.Create(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		pod := replica(ns)
		if err := admin.Create(t.Context(), pod); err != nil || pod.Annotations[v1alpha1.AnnotationInjected] != "index,model" {
			t.Errorf("got %v, %v", err, pod.Annotations)
		}
	}
}

func TestWithoutTheWebhookTheLabelOfAPodKeepsItOut(t *testing.T) {
	w := startWebhookUnder(t, pki.DefaultPolicy())
	open := prepare(t, nil)
	disabled := namespace(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled})
	heard := &warnings{}
	c := rest.CopyConfig(apiConfig)
	c.WarningHandler = heard
	warned, err := client.New(c, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	unlabelled := naming(open, "model")
	delete(unlabelled.Labels, v1alpha1.LabelInjection)
	if err := warned.Create(t.Context(), unlabelled.DeepCopy(), client.DryRunAll); err != nil ||
		!strings.Contains(strings.Join(heard.all, "\n"), "while kuda-webhook cannot be reached, such a pod is admitted without its data") {
		t.Errorf("got %v, warned %q", err, heard.all)
	}
	if err := admin.Create(t.Context(), naming(disabled, "model"), client.DryRunAll); err != nil {
		t.Errorf("a namespace that opted out is touched: %v", err)
	}
	running := naming(open, "model")
	if err := admin.Create(t.Context(), running); err != nil || !injected(running) {
		t.Fatalf("got %v", err)
	}
	w.stop()
	if err := admin.Create(t.Context(), naming(open, "model")); err == nil || !strings.Contains(err.Error(), "pods-labelled.kuda.io") {
		t.Errorf("a pod that requires its data slipped in: %v", err)
	}
	if err := admin.Create(t.Context(), unlabelled); err != nil || injected(unlabelled) {
		t.Errorf("a pod without the label: %v", err)
	}
	if err := admin.Create(t.Context(), naming(disabled, "model")); err != nil {
		t.Errorf("a namespace that opted out is touched: %v", err)
	}
	// A running pod never waits for the webhook.
	relabelled := running.DeepCopy()
	relabelled.Labels["tier"] = "front"
	if err := admin.Patch(t.Context(), relabelled, client.MergeFrom(running)); err != nil {
		t.Error(err)
	}
}

func TestWarningsComeOnceAndTellTheTruth(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	heard := &warnings{}
	c := rest.CopyConfig(apiConfig)
	c.WarningHandler = heard
	warned, err := client.New(c, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	hears := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got := strings.Join(heard.all, "\n")
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: warned %q, want %q", what, got, w)
			}
		}
		if len(want) == 0 && got != "" {
			t.Errorf("%s: warned %q", what, got)
		}
		heard.all = nil
	}
	d := dataSet(ns)
	d.Spec.Template.DataSources.MinIO.Endpoint = "http://minio:9000"
	hears("created", warned.Create(t.Context(), d), "the credentials of Secret reader are used over http://")
	hears("paused", edit(t, warned, d, func(s *v1alpha1.DataSetSpec) { s.Paused = true }))
	hears("another version", edit(t, warned, d, func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].Version = "v2" }))
	hears("another bucket", edit(t, warned, d, func(s *v1alpha1.DataSetSpec) {
		s.Template.DataItems[0].Version, s.Template.DataSources.MinIO.Bucket = "v3", "other"
	}), "the credentials of Secret reader")
	byHand := &v1alpha1.Data{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "by-hand"},
		Spec: v1alpha1.DataSpec{DataItems: d.Spec.Template.DataItems, DataSources: d.Spec.Template.DataSources}}
	hears("Data by hand", warned.Create(t.Context(), byHand.DeepCopy()), "Data are made by Kuda")
	// The manager hears nothing.
	m := configAs("kuda-manager")
	m.WarningHandler = heard
	manager, err := client.New(m, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	byHand.Name = "of-the-manager"
	hears("Data of the manager", manager.Create(t.Context(), byHand))
}
