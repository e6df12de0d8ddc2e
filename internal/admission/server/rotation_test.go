// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"context"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/pki/rotation"
)

// kubelet mounts the Secret anew after each write.
type kubelet struct {
	client.Client
	dir string
}

func (k kubelet) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := k.Client.Patch(ctx, object, patch, opts...); err != nil {
		return err
	}
	return mount(ctx, k.dir)
}

// TestRotatingCertificatesFailsNoPod creates pods without a pause where
// injection is required while three CAs, and some twenty certificates, follow each other.
func TestRotatingCertificatesFailsNoPod(t *testing.T) {
	w := startWebhook(t)
	ns := prepare(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rotator := &rotation.Rotator{Client: kubelet{as(t, "kuda-manager"), w.dir}, Secret: caKey, Authority: w.authority}
	go func() { _ = rotator.Start(ctx) }()

	signers := map[string]bool{}
	pods := 0
	for deadline := time.Now().Add(2 * time.Minute); len(signers) < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("only %d CAs have signed", len(signers))
		}
		pod := replica(ns)
		if err := admin.Create(ctx, pod, client.DryRunAll); err != nil || !injected(pod) {
			t.Fatalf("pod %d, under %d CAs: %v", pods, len(signers), err)
		}
		pods++
		signer, err := w.authority.Signer()
		if err != nil {
			t.Fatal(err)
		}
		signers[signer.Name()] = true
	}
	t.Logf("%d pods", pods)
}
