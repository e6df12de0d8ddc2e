// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// askingLimit bounds the look at the API server: a pod is never held up for
// longer because of it. Where injection is required a pod rather waits, within the
// time that the API server gives the webhook.
const (
	askingLimit         = 500 * time.Millisecond
	requiredAskingLimit = 3 * time.Second
)

// fromServersCache has the API server answer from its own watch cache, without
// asking its store. That cache may be older than another API server's, so it is
// not asked for where injection is required.
var fromServersCache = &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}

// dataSets returns the DataSets of a namespace, those included that our cache
// has not heard of yet. A manifest with a DataSet and a Job in it makes a pod
// within milliseconds of the DataSet, sooner than a watch event may get here;
// that pod would miss its data. So the API server is asked which ones there are
// (names and generations only, from its memory), once for all pods of the
// namespace that come meanwhile, and those that differ are read. When it does not
// answer the cache decides, except where injection is required: there the pod is
// refused. The objects are shared and must not be changed.
func (p *Pods) dataSets(ctx context.Context, namespace string) ([]*v1alpha1.DataSet, error) {
	limit := askingLimit
	if p.Required {
		limit = requiredAskingLimit
	}
	newer, err := p.looks.Do(ctx, namespace, limit, func(ctx context.Context) ([]*v1alpha1.DataSet, error) {
		return p.newerDataSets(ctx, namespace)
	})
	if err != nil {
		err = fmt.Errorf("asking the API server for the DataSets of namespace %s: %w", namespace, err)
		if p.Required {
			return nil, err
		}
		p.Log.Error(err, "decided by the cache alone", "namespace", namespace)
	}
	known, err := p.cachedDataSets(ctx, namespace)
	if err != nil {
		return nil, err
	}
	for _, d := range newer {
		if isOlder(known[d.Name], d) {
			known[d.Name] = d
		}
	}
	return slices.Collect(maps.Values(known)), nil
}

// cachedDataSets returns the DataSets of a namespace that the cache has, by name.
func (p *Pods) cachedDataSets(ctx context.Context, namespace string) (map[string]*v1alpha1.DataSet, error) {
	list := &v1alpha1.DataSetList{}
	// Nothing here changes a DataSet, so the cache's own objects will do.
	if err := p.Cache.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the DataSets of namespace %s: %w", namespace, err)
	}
	known := make(map[string]*v1alpha1.DataSet, len(list.Items))
	for i := range list.Items {
		known[list.Items[i].Name] = &list.Items[i]
	}
	return known, nil
}

// newerDataSets returns the DataSets that the API server has, and the cache has not or only
// an older generation of.
func (p *Pods) newerDataSets(ctx context.Context, namespace string) ([]*v1alpha1.DataSet, error) {
	options := []client.ListOption{client.InNamespace(namespace)}
	if !p.Required {
		options = append(options, fromServersCache)
	}
	there := &metav1.PartialObjectMetadataList{}
	there.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSetList"))
	if err := p.Live.List(ctx, there, options...); err != nil {
		return nil, err
	}
	known, err := p.cachedDataSets(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var newer []*v1alpha1.DataSet
	for i := range there.Items {
		m := &there.Items[i]
		if !isOlder(known[m.Name], m) {
			continue
		}
		full := &v1alpha1.DataSet{}
		err := p.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: m.Name}, full)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil {
			newer = append(newer, full)
		}
	}
	return newer, nil
}

// isOlder reports whether a DataSet that may be nil is older than what the API server has.
func isOlder(have *v1alpha1.DataSet, there metav1.Object) bool {
	return have == nil || have.UID != there.GetUID() || have.Generation < there.GetGeneration()
}
