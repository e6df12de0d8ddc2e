// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// bindings are when the first and the last pod were seen to have a node.
type bindings struct {
	first, last time.Time
	// pods that were seen, and those on nodes that hold their data.
	pods, onHolders int
}

// watchBindings watches the pods that have a node; what it returns waits until all have
// one. It sees what happens after it was called.
func (w *world) watchBindings(ctx context.Context) (func() (*bindings, error), error) {
	config := rest.CopyConfig(w.server.Config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(clients, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = "spec.nodeName!=" }))
	b, done := &bindings{}, make(chan struct{})
	// A pod is added once, when it has got a node; the calls follow one another.
	registration, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) {
		p, ok := o.(*corev1.Pod)
		if !ok || b.pods == w.Pods {
			return
		}
		b.last = time.Now()
		if b.pods == 0 {
			b.first = b.last
		}
		b.pods++
		if w.holders[p.Labels[labelApp]][p.Spec.NodeName] {
			b.onHolders++
		}
		if b.pods == w.Pods {
			close(done)
		}
	}})
	if err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil, fmt.Errorf("watching pods: %w", ctx.Err())
	}
	return func() (*bindings, error) {
		select {
		case <-done:
			return b, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting until %d pods are placed: %w", w.Pods, ctx.Err())
		}
	}, nil
}
