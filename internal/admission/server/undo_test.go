// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/pki"
)

func TestUndoingNeedsNoRightOnSecrets(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice := person(t, ns, "alice", right("create", "apps", "controllerrevisions"), right("get", "apps", "controllerrevisions"))
	first := plain(ns, "model", everyReference)
	if err := admin.Create(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	stored := revisionOf(t, first)
	refusedFor(t, alice.Create(t.Context(), stored.DeepCopy()), "written by kuda-manager")
	if err := as(t, "kuda-manager").Create(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	template := first.Spec.Template
	public := plain(ns, "model").Spec.Template
	public.DataSources = template.DataSources
	public.DataSources.HTTP = plain(ns, "model").Spec.Template.DataSources.HTTP
	if err := edit(t, alice, first, func(s *v1alpha1.DataSetSpec) { s.Template = *public.DeepCopy() }); err != nil {
		t.Fatalf("taking a reference out: %v", err)
	}
	undo := func(s *v1alpha1.DataSetSpec) { s.Template = *template.DeepCopy() }
	if err := edit(t, alice, first, undo); err != nil {
		t.Errorf("undoing: %v", err)
	}
	if err := edit(t, alice, first, func(s *v1alpha1.DataSetSpec) { s.Template = *public.DeepCopy() }); err != nil {
		t.Fatal(err)
	}
	refusedFor(t, edit(t, alice, first, func(s *v1alpha1.DataSetSpec) {
		undo(s)
		s.WorkloadSelector = map[string]string{"app": "billing"}
	}), "you may not")
	refusedFor(t, edit(t, alice, first, func(s *v1alpha1.DataSetSpec) {
		undo(s)
		s.Template.DataSources.HTTP.Proxy = "http://evil.example.com:3128"
	}), "you may not")

	// Another DataSet of the same name has no past.
	if err := admin.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	again := plain(ns, "model")
	if err := alice.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	refusedFor(t, edit(t, alice, again, undo), "you may not")
}

// TestSelectingOtherPodsNeedsTheRightsOfTheStableRevision: while a rollout is paused, new
// pods get the stable revision, with hooks that were checked for others.
func TestSelectingOtherPodsNeedsTheRightsOfTheStableRevision(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice := person(t, ns, "alice")
	d := plain(ns, "model", func(s *v1alpha1.DataSetSpec) {
		s.Template.Lifecycle = &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"reload"}}}}
	})
	if err := admin.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	stable := revisionOf(t, d)
	manager := as(t, "kuda-manager")
	if err := manager.Create(t.Context(), stable); err != nil {
		t.Fatal(err)
	}
	settle := func(revision string) {
		t.Helper()
		before := d.DeepCopy()
		d.Status.CurrentRevision = revision
		if err := manager.Status().Patch(t.Context(), d, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	settle(stable.Name)
	takeOut := func(s *v1alpha1.DataSetSpec) { s.Template.Lifecycle, s.Paused = nil, true }
	others := func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector = map[string]string{"app": "billing"} }
	refusedFor(t, edit(t, alice, d, func(s *v1alpha1.DataSetSpec) { takeOut(s); others(s) }), "spec.workloadSelector", "run commands in pods")
	if err := edit(t, alice, d, takeOut); err != nil {
		t.Fatalf("taking the hook out: %v", err)
	}
	refusedFor(t, edit(t, alice, d, others), "spec.workloadSelector", "run commands in pods")
	settle("another")
	if err := edit(t, alice, d, others); err != nil {
		t.Errorf("when no pod gets the revision: %v", err)
	}
}

// TestARevisionBelongsToADataSetOnly: a policy keeps users from making a DataSet the
// owner of a revision, by its kind; Kuda must not go by its UID alone.
func TestARevisionBelongsToADataSetOnly(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice := person(t, ns, "alice", right("create", "apps", "controllerrevisions"))
	first := plain(ns, "model")
	if err := admin.Create(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	wanted := plain(ns, "model", everyReference)
	forged := first.DeepCopy()
	forged.Spec = wanted.Spec
	stored := revisionOf(t, forged)
	stored.OwnerReferences[0].APIVersion, stored.OwnerReferences[0].Kind = "v1", "ConfigMap"
	if err := alice.Create(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	refusedFor(t, edit(t, alice, first, func(s *v1alpha1.DataSetSpec) { *s = wanted.Spec }), "you may not")
}

// revisionOf returns the revision as the manager makes it.
func revisionOf(t *testing.T, d *v1alpha1.DataSet) *appsv1.ControllerRevision {
	t.Helper()
	r, err := revision.New(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, v1alpha1.GroupVersion.WithKind("DataSet"))}
	r.OwnerReferences[0].BlockOwnerDeletion = nil
	return r
}
