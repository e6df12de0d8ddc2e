// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"
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
// (names and generations only, from its memory), and those that differ are read.
// When it does not answer the cache decides, except where injection is required:
// there the pod is refused.
func (p *Pods) dataSets(ctx context.Context, namespace string) ([]*v1alpha1.DataSet, error) {
	list := &v1alpha1.DataSetList{}
	// Nothing here changes a DataSet, so the cache's own objects will do.
	if err := p.Cache.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the DataSets of namespace %s: %w", namespace, err)
	}
	known := make(map[string]*v1alpha1.DataSet, len(list.Items))
	for i := range list.Items {
		known[list.Items[i].Name] = &list.Items[i]
	}
	if err := p.addNewer(ctx, namespace, known); err != nil {
		if p.Required {
			return nil, err
		}
		p.Log.Error(err, "decided by the cache alone", "namespace", namespace)
	}
	dataSets := make([]*v1alpha1.DataSet, 0, len(known))
	for _, d := range known {
		dataSets = append(dataSets, d)
	}
	return dataSets, nil
}

// addNewer puts the DataSets that the API server has, and we have not or only
// an older generation of, into known.
func (p *Pods) addNewer(ctx context.Context, namespace string, known map[string]*v1alpha1.DataSet) error {
	limit, options := askingLimit, []client.ListOption{client.InNamespace(namespace), fromServersCache}
	if p.Required {
		limit, options = requiredAskingLimit, options[:1]
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	there := &metav1.PartialObjectMetadataList{}
	there.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSetList"))
	if err := p.Live.List(ctx, there, options...); err != nil {
		return fmt.Errorf("asking the API server for the DataSets of namespace %s: %w", namespace, err)
	}
	for _, m := range there.Items {
		have := known[m.Name]
		if have != nil && have.UID == m.UID && have.Generation >= m.Generation {
			continue
		}
		full := &v1alpha1.DataSet{}
		err := p.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: m.Name}, full)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading DataSet %s/%s: %w", namespace, m.Name, err)
		}
		if err == nil {
			known[m.Name] = full
		}
	}
	return nil
}
