// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/stamp"
	"github.com/kuda-io/kuda/internal/pki"
)

// stored reads a DataSet as it is now.
func stored(t *testing.T, d *v1alpha1.DataSet) *v1alpha1.DataSet {
	t.Helper()
	now := &v1alpha1.DataSet{}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(d), now); err != nil {
		t.Fatal(err)
	}
	return now
}

// forged are names that a client sends.
func forged() map[string]string {
	return map[string]string{v1alpha1.AnnotationChangedBy: "eve", v1alpha1.AnnotationChangedGeneration: "1",
		v1alpha1.AnnotationRequestedBy: "eve", v1alpha1.AnnotationRequestedFor: "x"}
}

func annotate(t *testing.T, c client.Client, d *v1alpha1.DataSet, annotations map[string]string) error {
	t.Helper()
	now := stored(t, d)
	if now.Annotations == nil {
		now.Annotations = map[string]string{}
	}
	maps.Copy(now.Annotations, annotations)
	return c.Update(t.Context(), now)
}

func wantNames(t *testing.T, when string, d *v1alpha1.DataSet, changedBy, requestedBy string) {
	t.Helper()
	now := stored(t, d)
	if got, asked := stamp.ChangedBy(now), stamp.RequestedBy(now); got != changedBy || asked != requestedBy {
		t.Errorf("%s: changed by %q, requested by %q, want %q, %q; %v", when, got, asked, changedBy, requestedBy, now.Annotations)
	}
}

func TestTheUserOfAChangeIsTheOneThatTheAPIServerKnows(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice, bob := person(t, ns, "alice"), person(t, ns, "bob")
	d := plain(ns, "model")
	d.Annotations = forged()
	if err := alice.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	wantNames(t, "created with forged names", d, "alice", "")
	if by := stored(t, d).Annotations[v1alpha1.AnnotationRequestedBy]; by != "" {
		t.Errorf("a request that is not there is by %s", by)
	}
	if err := edit(t, bob, d, func(s *v1alpha1.DataSetSpec) { s.Paused = true }); err != nil {
		t.Fatal(err)
	}
	wantNames(t, "paused", d, "bob", "")
	if err := annotate(t, alice, d, forged()); err != nil {
		t.Fatal(err)
	}
	wantNames(t, "forged names alone", d, "bob", "")
	if err := annotate(t, alice, d, map[string]string{v1alpha1.AnnotationRolloutRequest: "abort r t1"}); err != nil {
		t.Fatal(err)
	}
	wantNames(t, "asked for", d, "bob", "alice")
	bare := stored(t, d)
	bare.Annotations = map[string]string{v1alpha1.AnnotationRolloutRequest: "abort r t1"}
	if err := bob.Update(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	wantNames(t, "replaced without the names", d, "bob", "alice")
	if err := annotate(t, bob, d, map[string]string{v1alpha1.AnnotationRolloutRequest: "retry r t2"}); err != nil {
		t.Fatal(err)
	}
	wantNames(t, "asked for something else", d, "bob", "bob")
}

func TestTheManagersWritesChangeNoName(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	d := plain(ns, "model")
	if err := person(t, ns, "alice").Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	before := stored(t, d).Annotations
	manager := as(t, "kuda-manager")
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":["kuda.io/withdraw"]}}`))
	if err := manager.Patch(t.Context(), d.DeepCopy(), patch); err != nil {
		t.Fatal(err)
	}
	patch = client.RawPatch("application/merge-patch+json", []byte(`{"status":{"replicas":3}}`))
	if err := manager.Status().Patch(t.Context(), d.DeepCopy(), patch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, stored(t, d).Annotations); diff != "" {
		t.Error(diff)
	}
}

// applied is what a tool has in its repository.
func applied(t *testing.T, d *v1alpha1.DataSet) *unstructured.Unstructured {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetAPIVersion(v1alpha1.GroupVersion.String())
	object.SetKind("DataSet")
	unstructured.RemoveNestedField(object.Object, "status")
	unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
	return object
}

// TestApplyingAnUnchangedDataSetChangesNothing: neither server-side apply, nor the dry run by
// which kubectl diff and Argo CD compare, sees a difference in the names of users.
func TestApplyingAnUnchangedDataSetChangesNothing(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	flux, bob := person(t, ns, "system:serviceaccount:flux:applier"), person(t, ns, "bob")
	d := plain(ns, "model")
	apply := func(c client.Client, object *unstructured.Unstructured, options ...client.ApplyOption) *unstructured.Unstructured {
		t.Helper()
		object = object.DeepCopy()
		options = append(options, client.FieldOwner("flux"), client.ForceOwnership)
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), options...); err != nil {
			t.Fatal(err)
		}
		return object
	}
	git := applied(t, d)
	apply(flux, git)
	wantNames(t, "applied", d, "system:serviceaccount:flux:applier", "")
	// Until a manager writes a status, the next write of any kind stores the default one.
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":1}}`))
	if err := as(t, "kuda-manager").Status().Patch(t.Context(), d.DeepCopy(), patch); err != nil {
		t.Fatal(err)
	}
	before := stored(t, d)
	for name, c := range map[string]client.Client{"its author": flux, "another user": bob} {
		apply(c, git)
		if now := stored(t, d); now.ResourceVersion != before.ResourceVersion {
			t.Errorf("applied again by %s: %s", name, cmp.Diff(before, now))
		}
		dry := apply(c, git, client.DryRunAll)
		if diff := cmp.Diff(before.Annotations, dry.GetAnnotations()); diff != "" {
			t.Errorf("the dry run of %s: %s", name, diff)
		}
	}
	// A dry run of a change names who would make it, and stores nothing.
	other := plain(ns, "model", func(s *v1alpha1.DataSetSpec) { s.Paused = true })
	dry := apply(bob, applied(t, other), client.DryRunAll)
	if by := dry.GetAnnotations()[v1alpha1.AnnotationChangedBy]; by != "bob" {
		t.Errorf("a dry run of bob's is by %q", by)
	}
	if now := stored(t, d); now.ResourceVersion != before.ResourceVersion {
		t.Error("a dry run changed something")
	}
	// What a user dumped and applies again has names in it.
	dumped := stored(t, d)
	dumped.Annotations = maps.Clone(dumped.Annotations)
	dumped.Annotations[v1alpha1.AnnotationChangedBy] = "eve"
	if err := flux.Update(t.Context(), dumped); err != nil {
		t.Fatal(err)
	}
	if now := stored(t, d); !maps.Equal(now.Annotations, before.Annotations) {
		t.Errorf("got %v", now.Annotations)
	}
}

func TestWithoutTheWebhookAChangeHasNoNameAndNotAnothersName(t *testing.T) {
	w := startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice, mallory := person(t, ns, "alice"), person(t, ns, "mallory")
	d := plain(ns, "model")
	d.Annotations = map[string]string{v1alpha1.AnnotationRolloutRequest: "abort r t1"}
	if err := alice.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	wantNames(t, "created", d, "alice", "alice")
	w.stop()
	if err := edit(t, mallory, d, func(s *v1alpha1.DataSetSpec) { s.Paused = true }); err != nil {
		t.Fatalf("a change while the webhook is away: %v", err)
	}
	if err := annotate(t, mallory, d, map[string]string{v1alpha1.AnnotationRolloutRequest: "promote r t2"}); err != nil {
		t.Fatalf("a request while the webhook is away: %v", err)
	}
	wantNames(t, "changed behind the webhook's back", d, "", "")
	replayed := map[string]string{v1alpha1.AnnotationRolloutRequest: "abort r t1"}
	if err := annotate(t, mallory, d, replayed); !refusedByPolicy(err, "kuda-dataset-users") {
		t.Errorf("a request that alice made is made again: got %v", err)
	}
	for name, names := range map[string]map[string]string{
		"another's change":     {v1alpha1.AnnotationChangedGeneration: strconv.FormatInt(stored(t, d).Generation, 10)},
		"another's request":    {v1alpha1.AnnotationRequestedFor: "promote r t2"},
		"another name":         {v1alpha1.AnnotationChangedBy: "bob"},
		"an altered name":      {v1alpha1.AnnotationChangedBy: "bob…"},
		"another's request by": {v1alpha1.AnnotationRequestedBy: "bob", v1alpha1.AnnotationRequestedFor: "promote r t2"},
	} {
		if err := annotate(t, mallory, d, names); !refusedByPolicy(err, "kuda-dataset-users") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	born := plain(ns, "born")
	born.Annotations = forged()
	if err := mallory.Create(t.Context(), born.DeepCopy()); !refusedByPolicy(err, "kuda-dataset-users") {
		t.Errorf("a new DataSet with forged names: got %v", err)
	}
	if err := admin.Create(t.Context(), born); err != nil {
		t.Errorf("a backup that is restored: %v", err)
	}
	if err := annotate(t, mallory, d, map[string]string{v1alpha1.AnnotationChangedBy: "mallory",
		v1alpha1.AnnotationChangedGeneration: strconv.FormatInt(stored(t, d).Generation, 10)}); err != nil {
		t.Errorf("a user's own name: %v", err)
	}
	own := map[string]string{v1alpha1.AnnotationRolloutRequest: "abort r t1", v1alpha1.AnnotationRequestedBy: "mallory",
		v1alpha1.AnnotationRequestedFor: "abort r t1"}
	if err := annotate(t, mallory, d, own); err != nil {
		t.Errorf("the same request under one's own name: %v", err)
	}
	without := stored(t, d)
	without.Annotations = nil
	if err := mallory.Update(t.Context(), without); err != nil {
		t.Errorf("without any names: %v", err)
	}
}

// TestUsersOfAnyNameCanChangeADataSet: the webhook and the policy agree on how a name that
// cannot be shown is written.
func TestUsersOfAnyNameCanChangeADataSet(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "authors"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"data.kuda.io"}, Resources: []string{"datasets"}}}}
	binding := &rbacv1.RoleBinding{ObjectMeta: role.ObjectMeta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "authors"}}}
	for _, object := range []client.Object{role, binding} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	made := 0
	for username, want := range map[string]string{
		"alice@example.com": "alice@example.com", "张伟": "张伟", "a\u202eb": "ab…", "a\ufffdb": "ab…", "a\tb": "ab…",
		strings.Repeat("x", 250): strings.Repeat("x", 250), strings.Repeat("模", 83): strings.Repeat("模", 83),
		strings.Repeat("x", 251): stamp.Name(strings.Repeat("x", 251)), strings.Repeat("模", 84): stamp.Name(strings.Repeat("模", 84)),
		strings.Repeat("x", 100<<10): stamp.Name(strings.Repeat("x", 100<<10)),
	} {
		c := rest.CopyConfig(apiConfig)
		c.Impersonate = rest.ImpersonationConfig{UserName: username, Groups: []string{"system:authenticated", "authors"}}
		user, err := client.New(c, client.Options{Scheme: newScheme(), Mapper: admin.RESTMapper()})
		if err != nil {
			t.Fatal(err)
		}
		made++
		d := plain(ns, "d"+strconv.Itoa(made))
		if err := user.Create(t.Context(), d); err != nil {
			t.Errorf("%.20q: %.500v", username, err)
			continue
		}
		wantNames(t, "created by "+stamp.Name(username), d, want, "")
		if err := edit(t, user, d, func(s *v1alpha1.DataSetSpec) { s.Paused = true }); err != nil {
			t.Errorf("%.20q: %.500v", username, err)
		}
	}
}
