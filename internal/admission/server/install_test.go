// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/pki/createca"
	"github.com/kuda-io/kuda/internal/pki/rotation"
)

func TestTheManifestCanBeAppliedAgain(t *testing.T) {
	if len(manifest) < 25 {
		t.Fatalf("the manifest has %d documents", len(manifest))
	}
	if err := apply(t.Context(), manifest); err != nil {
		t.Error(err)
	}
}

func TestNoComponentCanReadSecrets(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kuda-system", GenerateName: "other-"}}
	if err := admin.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for _, account := range []string{"kuda-manager", "kuda-webhook", "kuda-create-ca"} {
		c := as(t, account)
		for _, name := range []string{secret.Name, caKey.Name} {
			if err := c.Get(t.Context(), types.NamespacedName{Namespace: "kuda-system", Name: name}, &corev1.Secret{}); !apierrors.IsForbidden(err) {
				t.Errorf("%s reading Secret %s: got %v", account, name, err)
			}
		}
		for _, in := range []string{"kuda-system", ""} {
			if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace(in)); !apierrors.IsForbidden(err) {
				t.Errorf("%s listing Secrets in %q: got %v", account, in, err)
			}
		}
		patch := client.RawPatch(types.MergePatchType, []byte(`{"data":{}}`))
		if err := c.Patch(t.Context(), secret.DeepCopy(), patch); !apierrors.IsForbidden(err) {
			t.Errorf("%s patching another Secret: got %v", account, err)
		}
	}
}

func TestTheRightsOfTheJobAndTheLeaderAreEnoughForTheCA(t *testing.T) {
	key := types.NamespacedName{Namespace: "kuda-system", Name: "kuda-ca"}
	if err := client.IgnoreNotFound(admin.Delete(t.Context(),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		created, err := createca.Create(t.Context(), as(t, "kuda-create-ca"), key, seconds, time.Now().Add(-25*time.Second))
		if err != nil || created != want {
			t.Fatalf("got %t, %v; want %t", created, err, want)
		}
	}
	dir := t.TempDir()
	if err := mount(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	authority, err := pki.LoadAuthority(pki.Options{Dir: dir, Policy: seconds})
	if err != nil {
		t.Fatal(err)
	}
	r := &rotation.Rotator{Client: as(t, "kuda-manager"), Secret: key, Authority: authority}
	if _, err := r.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := mount(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := authority.Reload(); err != nil || len(authority.Generations()) != 2 {
		t.Errorf("got %d generations, %v; want 2", len(authority.Generations()), err)
	}
}
