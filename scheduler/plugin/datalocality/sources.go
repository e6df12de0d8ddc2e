// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// patience is how long pods wait for the caches at the start of the scheduler. A
// standby has filled them long before it leads.
const patience = 10 * time.Second

// sources are what the plugin watches.
type sources struct {
	p         *Plugin
	own       []cache.SharedIndexInformer
	revisions informers.SharedInformerFactory
	synced    []cache.InformerSynced
	// absent is set while the API server does not know Kuda's kinds.
	absent atomic.Bool
}

func newSources(p *Plugin) (*sources, error) {
	s := &sources{p: p}
	kuda, err := kudaClient(p.handle.KubeConfig())
	if err != nil {
		return nil, err
	}
	p.readDataSet = readLive(kuda)
	stores := s.newInformer(kuda, "nodestores", &v1alpha1.NodeStore{}, trimNodeStore)
	dataSets := s.newInformer(kuda, "datasets", &v1alpha1.DataSet{}, trimManagedFields)
	s.own = []cache.SharedIndexInformer{stores, dataSets}
	s.revisions = informers.NewSharedInformerFactoryWithOptions(p.handle.ClientSet(), 0, informers.WithTransform(trimManagedFields),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = v1alpha1.LabelDataSet }))
	revisions := s.revisions.Apps().V1().ControllerRevisions()
	p.catalog.revisions = revisionReader{revisions.Lister()}

	shared := p.handle.SharedInformerFactory().Core().V1()
	for _, one := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
		own      bool
	}{
		{stores, onChange(p.storeChanged, p.storeGone), true},
		{dataSets, onChange(p.dataSetChanged, p.dataSetGone), true},
		{revisions.Informer(), onChange(p.revisionChanged, p.revisionChanged), false},
		{shared.Nodes().Informer(), onChange(p.nodeChanged, p.nodeGone), false},
		{shared.Pods().Informer(), onChange(p.podChanged, p.forgetPod), false},
	} {
		registration, err := one.informer.AddEventHandler(one.handler)
		if err != nil {
			return nil, fmt.Errorf("adding a handler: %w", err)
		}
		synced := registration.HasSynced
		if one.own {
			synced = func() bool { return registration.HasSynced() || s.absent.Load() }
		}
		s.synced = append(s.synced, synced)
	}
	return s, nil
}

// kudaClient speaks JSON: the API server serves nothing else for CRDs.
func kudaClient(config *rest.Config) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("building a scheme: %w", err)
	}
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, ""
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return client, nil
}

func (s *sources) newInformer(client cache.Getter, resource string, example runtime.Object,
	transform cache.TransformFunc) cache.SharedIndexInformer {
	watch := cache.NewListWatchFromClient(client, resource, metav1.NamespaceAll, fields.Everything())
	informer := cache.NewSharedIndexInformer(watch, example, 0, cache.Indexers{})
	// Neither fails on an informer that has not been started.
	_ = informer.SetTransform(transform)
	_ = informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if !apierrors.IsNotFound(err) {
			cache.DefaultWatchErrorHandler(ctx, r, err)
			return
		}
		if !s.absent.Swap(true) {
			s.p.log.Info("the API server does not know Kuda's kinds: pods are placed without regard to data until its CRDs are installed",
				"resource", resource)
		}
	})
	return informer
}

// startCaches fills the caches, until the context ends. The channel is closed when they
// are filled, or after a while.
func (s *sources) startCaches(ctx context.Context) <-chan struct{} {
	for _, informer := range s.own {
		go informer.RunWithContext(ctx)
	}
	s.revisions.StartWithContext(ctx)
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if !cache.WaitForCacheSync(ctx.Done(), s.synced...) {
			s.p.log.Info("what nodes hold is not known yet; pods are placed with what is known", "waited", patience)
		}
	}()
	return ready
}

// onChange calls a function for each object that is there, and another for each
// that is gone.
func onChange[T any](changed, gone func(T)) cache.ResourceEventHandlerFuncs {
	call := func(f func(T)) func(any) {
		return func(o any) {
			if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = unknown.Obj
			}
			if object, ok := o.(T); ok {
				f(object)
			}
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: call(changed), UpdateFunc: func(_, o any) { call(changed)(o) }, DeleteFunc: call(gone),
	}
}

func (p *Plugin) storeChanged(n *v1alpha1.NodeStore) {
	p.index.Set(n)
	p.waiting.nodeChanged(n.Name)
}

func (p *Plugin) storeGone(n *v1alpha1.NodeStore) {
	p.index.Delete(n.Name)
	p.waiting.nodeChanged(n.Name)
}

func (p *Plugin) nodeChanged(n *corev1.Node) {
	node := index.NodeOf(n)
	if p.args.RackLabel != "" {
		node.Rack = n.Labels[p.args.RackLabel]
	}
	p.index.SetNode(n.Name, node)
	p.places.set(n.Name, place{rack: node.Rack, zone: node.Zone})
	p.waiting.nodeChanged(n.Name)
}

func (p *Plugin) nodeGone(n *corev1.Node) {
	p.index.DeleteNode(n.Name)
	p.places.delete(n.Name)
	p.waiting.nodeChanged(n.Name)
}

func (p *Plugin) dataSetChanged(d *v1alpha1.DataSet) {
	p.catalog.set(d)
	p.index.SetCache(placement.Cached(d))
	p.waiting.namespaceChanged(context.Background(), d.Namespace)
}

func (p *Plugin) dataSetGone(d *v1alpha1.DataSet) {
	p.catalog.delete(d.Namespace, d.Name)
	p.index.SetCache(index.Cache{Namespace: d.Namespace, DataSet: d.Name})
	p.waiting.namespaceChanged(context.Background(), d.Namespace)
}

func (p *Plugin) revisionChanged(r *appsv1.ControllerRevision) {
	p.catalog.invalidateWants(r.Namespace, r.Labels[v1alpha1.LabelDataSet])
	p.waiting.namespaceChanged(context.Background(), r.Namespace)
}

// podChanged forgets a pod that another scheduler, or a leader before, has placed.
func (p *Plugin) podChanged(pod *corev1.Pod) {
	if pod.Spec.NodeName != "" {
		p.forgetPod(pod)
	}
}

// forgetPod forgets a pod that is not to be placed any more.
func (p *Plugin) forgetPod(pod *corev1.Pod) {
	p.waiting.removePod(pod.UID)
	p.attempts.remove(pod.UID)
}
