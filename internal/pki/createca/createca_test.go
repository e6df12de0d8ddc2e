// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package createca

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/pki"
)

type creator struct {
	err error
	got *corev1.Secret
}

func (c *creator) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	c.got = object.(*corev1.Secret)
	return c.err
}

var key = types.NamespacedName{Namespace: "kuda-system", Name: "kuda-ca"}

func TestTheSecretHoldsACAThatSigns(t *testing.T) {
	c := &creator{}
	created, err := Create(t.Context(), c, key, pki.DefaultPolicy(), time.Now())
	if err != nil || !created {
		t.Fatalf("got %t, %v", created, err)
	}
	generations, err := pki.ParseGenerations(c.got.Data)
	if err != nil || len(generations) != 1 {
		t.Fatalf("got %d generations, %v", len(generations), err)
	}
	if _, err := generations[0].Issue(pki.DefaultPolicy(), []string{"kuda-gateway"}, time.Now()); err != nil {
		t.Error(err)
	}
}

func TestInstallingAgainKeepsTheCA(t *testing.T) {
	c := &creator{err: apierrors.NewAlreadyExists(schema.GroupResource{Resource: "secrets"}, "kuda-ca")}
	if created, err := Create(t.Context(), c, key, pki.DefaultPolicy(), time.Now()); err != nil || created {
		t.Errorf("got %t, %v; want false and no error", created, err)
	}
}

func TestAFailedCreationFailsTheJob(t *testing.T) {
	c := &creator{err: errors.New("forbidden")}
	if _, err := Create(t.Context(), c, key, pki.DefaultPolicy(), time.Now()); !errors.Is(err, c.err) {
		t.Errorf("got %v", err)
	}
}
