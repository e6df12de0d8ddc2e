// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gatewayca

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// ConfigMap is the object's name.
	ConfigMap = "kuda-gateway-ca"
	// Key is that of the certificates (PEM) in the object.
	Key = "ca.crt"

	// retryAfter is the pause after a write that failed, repeatAfter that after one that
	// was done, or that had no object: it may have been changed, or made, by others.
	retryAfter  = 10 * time.Second
	repeatAfter = 10 * time.Minute
)

// Bundle is what is published; a gateway.Certificates is one.
type Bundle interface {
	Bundle() []byte
	Changed() <-chan struct{}
}

// Options of a Publisher; all are required.
type Options struct {
	// Client patches the ConfigMap, and needs no other right.
	Client client.Client
	// Namespace of the ConfigMap.
	Namespace string
	Bundle    Bundle
	Clock     clock.WithTicker
	Log       logr.Logger
}

// Publisher is a manager's runnable.
type Publisher struct{ options Options }

// New returns a publisher; it starts nothing.
func New(o Options) *Publisher { return &Publisher{o} }

// NeedLeaderElection reports whether only the leader publishes.
func (p *Publisher) NeedLeaderElection() bool { return true }

// Start publishes until the context ends: now, when the bundle changes, and now and then.
func (p *Publisher) Start(ctx context.Context) error {
	changed := p.options.Bundle.Changed()
	for ctx.Err() == nil {
		wait := repeatAfter
		err := p.publishBundle(ctx)
		switch {
		case apierrors.IsNotFound(err):
			p.options.Log.V(1).Info("kuda-node is not installed: its ConfigMap is not there", "namespace", p.options.Namespace, "name", ConfigMap)
		case err != nil && ctx.Err() == nil:
			p.options.Log.Error(err, "did not publish the certificates for keepers; trying again", "after", retryAfter.String())
			wait = retryAfter
		}
		timer := p.options.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C():
		}
		timer.Stop()
	}
	return nil
}

func (p *Publisher) publishBundle(ctx context.Context) error {
	patch, err := json.Marshal(map[string]any{"data": map[string]string{Key: string(p.options.Bundle.Bundle())}})
	if err != nil {
		return fmt.Errorf("encoding the certificates: %w", err)
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: p.options.Namespace, Name: ConfigMap}}
	if err := p.options.Client.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("publishing the certificates in ConfigMap %s/%s: %w", p.options.Namespace, ConfigMap, err)
	}
	return nil
}
