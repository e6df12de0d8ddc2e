// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cabundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/pki"
)

// retryAfter is the pause after a write that failed.
const retryAfter = time.Second

// Publisher keeps the bundle in one Mutating- and one ValidatingWebhookConfiguration,
// both of the same name.
type Publisher struct {
	client    client.Client
	informers cache.Informers
	authority *pki.Authority
	name      string
	log       logr.Logger

	mu      sync.Mutex
	trusted map[string]bool
}

// The kinds of configuration.
const (
	mutating   = "MutatingWebhookConfiguration"
	validating = "ValidatingWebhookConfiguration"
)

// New returns a publisher for the configurations of the given name. The client
// reads from the informers.
func New(c client.Client, informers cache.Informers, authority *pki.Authority, name string) *Publisher {
	return &Publisher{
		client: c, informers: informers, authority: authority, name: name,
		log:     ctrl.Log.WithName("cabundle"),
		trusted: map[string]bool{mutating: false, validating: false},
	}
}

// NeedLeaderElection reports whether only the leader publishes: every replica does.
func (p *Publisher) NeedLeaderElection() bool { return false }

// Start publishes until the context ends: now, and whenever the CA or one of
// the configurations changes. It is a manager.Runnable.
func (p *Publisher) Start(ctx context.Context) error {
	changed := p.authority.Changed()
	kick := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case kick <- struct{}{}:
		default:
		}
	}
	for _, object := range []client.Object{
		&admissionregistrationv1.MutatingWebhookConfiguration{},
		&admissionregistrationv1.ValidatingWebhookConfiguration{},
	} {
		informer, err := p.informers.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("watching the webhook configurations: %w", err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: notify, DeleteFunc: notify, UpdateFunc: func(_, object any) { notify(object) },
		})
		if err != nil {
			return fmt.Errorf("watching the webhook configurations: %w", err)
		}
	}
	for {
		var retry <-chan time.Time
		if err := errors.Join(p.publishBundle(ctx, mutating), p.publishBundle(ctx, validating)); err != nil && ctx.Err() == nil {
			p.log.Error(err, "did not publish the CA bundle; trying again", "after", retryAfter)
			retry = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-kick:
		case <-retry:
		}
	}
}

// Ready is a readiness check: the API server trusts this replica's certificates.
func (p *Publisher) Ready(*http.Request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for kind, trusted := range p.trusted {
		if !trusted {
			return fmt.Errorf("the caBundle of %s %s is not published yet", kind, p.name)
		}
	}
	return nil
}

// entry is what there is to know of one webhook of a configuration.
type entry struct {
	name     string
	caBundle []byte
}

// publishBundle brings one configuration up to date.
func (p *Publisher) publishBundle(ctx context.Context, kind string) error {
	object, entries, err := p.readConfiguration(ctx, kind)
	if err != nil {
		p.setTrusted(kind, false)
		return client.IgnoreNotFound(err)
	}
	signer, err := p.authority.Signer()
	if err != nil {
		p.setTrusted(kind, false)
		return fmt.Errorf("publishing the CA bundle: %w", err)
	}
	own := p.authority.Bundle()
	var ops []map[string]any
	trusted := true
	for i, e := range entries {
		v := compareBundles(e.caBundle, own, signer.CertificatePEM())
		if !v.write {
			trusted = trusted && v.trusted
			continue
		}
		at := fmt.Sprintf("/webhooks/%d", i)
		// The test keeps a change of the list in between from sending the bundle
		// to another webhook.
		ops = append(ops,
			map[string]any{"op": "test", "path": at + "/name", "value": e.name},
			map[string]any{"op": "add", "path": at + "/clientConfig/caBundle", "value": own})
	}
	if len(ops) > 0 {
		patch, err := json.Marshal(ops)
		if err != nil {
			return fmt.Errorf("encoding the change of %s %s: %w", kind, p.name, err)
		}
		if err := p.client.Patch(ctx, object, client.RawPatch(types.JSONPatchType, patch)); err != nil {
			return fmt.Errorf("publishing the CA bundle in %s %s: %w", kind, p.name, err)
		}
		p.log.Info("published the CA bundle", "kind", kind, "name", p.name, "signer", signer.Name())
	}
	p.setTrusted(kind, trusted)
	return nil
}

func (p *Publisher) readConfiguration(ctx context.Context, kind string) (client.Object, []entry, error) {
	key := types.NamespacedName{Name: p.name}
	var entries []entry
	switch kind {
	case mutating:
		c := &admissionregistrationv1.MutatingWebhookConfiguration{}
		if err := p.client.Get(ctx, key, c); err != nil {
			return nil, nil, fmt.Errorf("reading %s %s: %w", kind, p.name, err)
		}
		for i := range c.Webhooks {
			entries = append(entries, entry{c.Webhooks[i].Name, c.Webhooks[i].ClientConfig.CABundle})
		}
		return c, entries, nil
	case validating:
		c := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := p.client.Get(ctx, key, c); err != nil {
			return nil, nil, fmt.Errorf("reading %s %s: %w", kind, p.name, err)
		}
		for i := range c.Webhooks {
			entries = append(entries, entry{c.Webhooks[i].Name, c.Webhooks[i].ClientConfig.CABundle})
		}
		return c, entries, nil
	}
	return nil, nil, errors.New("reading a webhook configuration of unknown kind " + kind)
}

func (p *Publisher) setTrusted(kind string, trusted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trusted[kind] = trusted
}
