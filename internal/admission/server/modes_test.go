// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/pki"
)

// warned collects the warnings that the API server sends.
type warned struct {
	mu   sync.Mutex
	said []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warned) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

func TestTheModeSaysWhatAMissingRightLeadsTo(t *testing.T) {
	for _, mode := range []string{"Warn", "Off"} {
		t.Run(mode, func(t *testing.T) {
			startWebhookUnder(t, pki.DefaultPolicy(), "authorChecks: "+mode)
			ns := namespace(t, nil)
			person(t, ns, "alice")
			said := &warned{}
			c := rest.CopyConfig(apiConfig)
			c.Impersonate = rest.ImpersonationConfig{UserName: "alice", Groups: []string{"system:authenticated"}}
			c.WarningHandler = said
			alice, err := client.New(c, client.Options{Scheme: newScheme()})
			if err != nil {
				t.Fatal(err)
			}
			if err := alice.Create(t.Context(), plain(ns, "model", references()["http-secret"].set)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(said.said, "\n"),
				"spec.template.dataSources.http.secretRef: you may not get Secret"); got != (mode == "Warn") {
				t.Errorf("the warnings are %q", said.said)
			}
			// Audiences are no question of the author's rights.
			refusedFor(t, alice.Create(t.Context(), plain(ns, "token", identity("https://kubernetes.default.svc"))), "webIdentity.audience")
		})
	}
}

func identity(audience string) func(*v1alpha1.DataSetSpec) {
	return func(s *v1alpha1.DataSetSpec) {
		s.Template.DataSources.S3 = &v1alpha1.S3DataSource{
			Endpoint: "https://s3.example.com", Bucket: "data", WebIdentity: &v1alpha1.WebIdentity{Audience: audience},
		}
	}
}

func TestAudiencesAreThoseOfTheInstallation(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy(), "webIdentityAudiences: [sts.amazonaws.com, minio, issuer]", "forbiddenAudiences: [issuer]")
	ns := namespace(t, nil)
	for audience, want := range map[string]bool{
		"sts.amazonaws.com": true, "minio": true, "vault": false, "kuda.io": false, "issuer": false,
		"https://kubernetes.default.svc": false, "https://kubernetes.default.svc.cluster.local": false, "kubernetes.default.svc": false,
		"kubernetes": false,
	} {
		err := admin.Create(t.Context(), plain(ns, "model", identity(audience)), client.DryRunAll)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "spec.template.dataSources.s3.webIdentity.audience") {
			t.Errorf("%q: got %v", audience, err)
		}
	}
}

func TestGitOpsControllersPassByTheirOwnRights(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	r := references()["http-secret"]
	applier := person(t, ns, "system:serviceaccount:flux:applier", r.rights...)
	if err := applier.Create(t.Context(), plain(ns, "model", r.set)); err != nil {
		t.Error(err)
	}
	refusedFor(t, applier.Create(t.Context(), plain(ns, "hooked", references()["exec-of-an-item"].set)), "create pods/exec")
}

// TestWithoutTheWebhookChangesThatNeedARightAreRefused: a change that needs a right is refused
// while rights cannot be checked, and no other change is.
func TestWithoutTheWebhookChangesThatNeedARightAreRefused(t *testing.T) {
	w := startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	alice := person(t, ns, "alice")
	everything, bare := plain(ns, "everything", everyReference), plain(ns, "bare")
	for _, d := range []*v1alpha1.DataSet{everything, bare} {
		if err := admin.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	w.stop()
	closed := func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "dataset-authors.kuda.io") && !apierrors.IsInvalid(err)
	}
	for name, r := range references() {
		if err := admin.Create(t.Context(), plain(ns, name, r.set)); !closed(err) {
			t.Errorf("creating one with %s: %v", name, err)
		}
		if err := edit(t, admin, bare, r.set); !closed(err) {
			t.Errorf("adding %s: %v", name, err)
		}
	}
	for name, change := range misuses() {
		if err := edit(t, admin, everything, change); !closed(err) {
			t.Errorf("changing the %s: %v", name, err)
		}
	}
	for what, change := range harmless {
		for _, d := range []*v1alpha1.DataSet{everything, bare} {
			if err := edit(t, alice, d, change); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if err := edit(t, alice, bare, func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[0].RemotePath = "/else" }); err != nil {
		t.Errorf("another path without credentials: %v", err)
	}
	if err := alice.Create(t.Context(), plain(ns, "new")); err != nil {
		t.Errorf("a DataSet that refers to nothing: %v", err)
	}
	// The manager's own writes.
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":["kuda.io/withdraw"]}}`))
	if err := as(t, "kuda-manager").Patch(t.Context(), everything.DeepCopy(), patch); err != nil {
		t.Errorf("the finalizer: %v", err)
	}
	patch = client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	if err := as(t, "kuda-manager").Patch(t.Context(), everything.DeepCopy(), patch); err != nil {
		t.Errorf("the finalizer: %v", err)
	}
	if err := alice.Delete(t.Context(), everything); err != nil {
		t.Errorf("deleting: %v", err)
	}
}

// TestALargeDataSetIsStillChecked: the match conditions have a budget, and a
// request beyond it is refused.
func TestALargeDataSetIsStillChecked(t *testing.T) {
	startWebhookUnder(t, pki.DefaultPolicy())
	ns := namespace(t, nil)
	large := plain(ns, "large", everyReference)
	first := large.Spec.Template.DataItems[0]
	large.Spec.Template.DataItems = nil
	for i := range 128 {
		item := *first.DeepCopy()
		item.Name, item.LocalPath = strings.Repeat("n", 1+i), strings.Repeat("l", 1+i)
		item.RemotePath = strings.Repeat("r", 4096)
		for range 8 {
			item.Include, item.Exclude = append(item.Include, strings.Repeat("i", 48)), append(item.Exclude, strings.Repeat("e", 48))
		}
		large.Spec.Template.DataItems = append(large.Spec.Template.DataItems, item)
	}
	if err := admin.Create(t.Context(), large); err != nil {
		t.Fatalf("creating: %.400s", err)
	}
	if err := edit(t, admin, large, func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[127].Include[7] = "z" }); err != nil {
		t.Errorf("changing: %.400s", err)
	}
	alice := person(t, ns, "alice")
	if err := edit(t, alice, large, harmless["another version"]); err != nil {
		t.Errorf("another version: %.400s", err)
	}
	err := edit(t, alice, large, func(s *v1alpha1.DataSetSpec) { s.Template.DataItems[127].Exclude = nil })
	if !apierrors.IsForbidden(err) || len(err.Error()) > 4000 {
		t.Errorf("got %.4000v", err)
	}
}
