// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission/look"
)

const (
	// briefLimit bounds how long a pod is held up by the look at the API server, where
	// there is no sign that the cache lacks anything.
	briefLimit = 500 * time.Millisecond
	// longLimit bounds it where a pod must not miss its data, and where DataSets of the
	// namespace are young: it is below the time that the API server gives the webhook.
	longLimit = 3 * time.Second
	// youngFor is how long after a DataSet was created others may follow: those of one
	// apply come within seconds, with a busy API server too.
	youngFor = time.Minute
	// readsOfPod are the DataSets that are read together for one pod.
	readsOfPod = 8
	// Of the places for reviews (package intake) those that may be held by pods that
	// wait for longer than briefLimit: a namespace whose DataSets are slow to
	// list must not hold up the pods of the others.
	patientPods, patientPodsOfNamespace = 8, 4
)

// SettleTime is how long what was missed of the news of other replicas may matter.
const SettleTime = youngFor

// fromServersCache has the API server answer from its own watch cache, without
// asking its store. That cache may be older than the store and than another API
// server's, so it is not asked for where a pod must not miss its data.
var fromServersCache = &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}

// looks shares what the API server is asked among pods.
type looks struct {
	// cached and stored are lists from the API server's cache and past it, reads
	// the reading of single DataSets.
	cached, stored look.Group[[]metav1.PartialObjectMetadata]
	reads          look.Group[*v1alpha1.DataSet]
	patience       look.Patience
	// changed are the namespaces with changes that this webhook was asked about.
	changed recent
}

func newLooks() *looks {
	return &looks{patience: look.Patience{OfKey: patientPodsOfNamespace, OfAll: patientPods}}
}

// dataSets returns the DataSets of a namespace, those included that our cache
// has not heard of yet. A manifest with DataSets and a Job in it makes a pod
// within milliseconds of the DataSets, sooner than a watch event may get here;
// that pod would miss its data.
//
// Every DataSet passes one replica of the webhook before it is stored, and the replicas tell
// each other (package news). So the cache alone decides where this one was told all and has no
// sign that a DataSet of the namespace is new: such pods cost the API server nothing.
// Otherwise it is asked which DataSets there are (metadata only, from its memory), once for all
// pods of the namespace that come meanwhile, and those that differ are read. Its memory may be
// late, too: where there is a sign, others of the same apply may follow, so the question is put
// once more, past that memory, and waited for longer.
//
// A pod that must not miss its data (strict) is refused when there is no answer. For the
// others what is known decides. The objects are shared and must not be changed.
func (p *Pods) dataSets(ctx context.Context, namespace string, strict bool) ([]*v1alpha1.DataSet, error) {
	known, err := p.cachedDataSets(ctx, namespace)
	if err != nil {
		return nil, err
	}
	if !strict && p.isSettled(namespace, known) {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longLimit)
	defer cancel()
	newer, err := p.awaitNewer(ctx, namespace, strict)
	if err != nil {
		err = fmt.Errorf("asking the API server for the DataSets of namespace %s: %w", namespace, err)
		if strict {
			return nil, err
		}
		p.Log.Error(err, "decided by the DataSets that are known", "namespace", namespace)
	}
	// The cache may have heard more meanwhile.
	if known, err = p.cachedDataSets(ctx, namespace); err != nil {
		return nil, err
	}
	return mergeNewer(known, newer), nil
}

// isSettled reports whether the cache is known to have all DataSets of the namespace: each
// change is heard of before it is stored, and there was none for a while.
func (p *Pods) isSettled(namespace string, known []*v1alpha1.DataSet) bool {
	return p.News != nil && p.looks != nil && !p.looks.changed.has(namespace) && !slices.ContainsFunc(known, isYoung) && p.News.IsComplete()
}

// noteChange remembers that a DataSet of the namespace is about to change, and tells the
// other replicas.
func (p *Pods) noteChange(ctx context.Context, namespace string) {
	p.looks.changed.note(namespace)
	if p.News != nil {
		p.News.Tell(ctx, namespace)
	}
}

// mergeNewer returns the known DataSets with the newer ones in their places.
func mergeNewer(known, newer []*v1alpha1.DataSet) []*v1alpha1.DataSet {
	if len(newer) == 0 {
		return known
	}
	byName := mapByName(known)
	for _, d := range newer {
		if isOlder(byName[d.Name], d) {
			byName[d.Name] = d
		}
	}
	return slices.Collect(maps.Values(byName))
}

// awaitNewer is newerDataSets with a bound on the pods that wait long.
func (p *Pods) awaitNewer(ctx context.Context, namespace string, strict bool) ([]*v1alpha1.DataSet, error) {
	l := p.looks
	if l == nil {
		l = newLooks()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		newer []*v1alpha1.DataSet
		err   error
		done  = make(chan struct{})
	)
	go func() {
		defer close(done)
		newer, err = p.newerDataSets(ctx, l, namespace, strict)
	}()
	if waitErr := l.patience.Wait(ctx, namespace, briefLimit, done); waitErr != nil {
		return nil, waitErr
	}
	return newer, err
}

// newerDataSets returns the DataSets that the API server has, and the cache has not or only
// an older generation of. With an error, those that could be read.
func (p *Pods) newerDataSets(ctx context.Context, l *looks, namespace string, strict bool) ([]*v1alpha1.DataSet, error) {
	cached, err := p.cachedDataSets(ctx, namespace)
	if err != nil {
		return nil, err
	}
	known := mapByName(cached)
	var there []metav1.PartialObjectMetadata
	if !strict {
		there, err = l.cached.Do(ctx, namespace, briefLimit, func(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
			return p.listMetadata(ctx, namespace, fromServersCache)
		})
		strict = l.changed.has(namespace) || hasNews(known, there)
	}
	if strict {
		var stored []metav1.PartialObjectMetadata
		stored, err = l.stored.Do(ctx, namespace, longLimit, func(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
			return p.listMetadata(ctx, namespace)
		})
		if err == nil {
			there = stored
		}
	}
	read, readErr := p.readNewer(ctx, l, known, there)
	return read, errors.Join(err, readErr)
}

// hasNews reports whether there is a DataSet that is young, or newer than the cache's.
func hasNews(known map[string]*v1alpha1.DataSet, there []metav1.PartialObjectMetadata) bool {
	for _, d := range known {
		if isYoung(d) {
			return true
		}
	}
	return slices.ContainsFunc(there, func(m metav1.PartialObjectMetadata) bool {
		return time.Since(m.CreationTimestamp.Time) < youngFor || isOlder(known[m.Name], &m)
	})
}

// isYoung reports whether others may follow the DataSet.
func isYoung(d *v1alpha1.DataSet) bool { return time.Since(d.CreationTimestamp.Time) < youngFor }

// cachedDataSets returns the DataSets of a namespace that the cache has.
func (p *Pods) cachedDataSets(ctx context.Context, namespace string) ([]*v1alpha1.DataSet, error) {
	list := &v1alpha1.DataSetList{}
	// Nothing here changes a DataSet, so the cache's own objects will do.
	if err := p.Cache.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the DataSets of namespace %s: %w", namespace, err)
	}
	known := make([]*v1alpha1.DataSet, len(list.Items))
	for i := range list.Items {
		known[i] = &list.Items[i]
	}
	return known, nil
}

// mapByName returns the DataSets by their names.
func mapByName(all []*v1alpha1.DataSet) map[string]*v1alpha1.DataSet {
	known := make(map[string]*v1alpha1.DataSet, len(all))
	for _, d := range all {
		known[d.Name] = d
	}
	return known
}

// listMetadata returns what the API server says of the DataSets that there are.
func (p *Pods) listMetadata(ctx context.Context, namespace string,
	options ...client.ListOption) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSetList"))
	if err := p.Live.List(ctx, list, append(options, client.InNamespace(namespace))...); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// readNewer reads the DataSets that are newer than the cache's. With an error, it returns
// those that could be read.
func (p *Pods) readNewer(ctx context.Context, l *looks, known map[string]*v1alpha1.DataSet,
	there []metav1.PartialObjectMetadata) ([]*v1alpha1.DataSet, error) {
	var (
		mu    sync.Mutex
		newer []*v1alpha1.DataSet
		errs  []error
		group errgroup.Group
	)
	group.SetLimit(readsOfPod)
	for i := range there {
		m := &there[i]
		if !isOlder(known[m.Name], m) {
			continue
		}
		group.Go(func() error {
			key := types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
			full, err := l.reads.Do(ctx, key.String(), longLimit, func(ctx context.Context) (*v1alpha1.DataSet, error) {
				d := &v1alpha1.DataSet{}
				return d, p.Live.Get(ctx, key, d)
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				newer = append(newer, full)
			case client.IgnoreNotFound(err) != nil:
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return newer, errors.Join(errs...)
}

// isOlder reports whether a DataSet that may be nil is older than what the API server has.
func isOlder(have *v1alpha1.DataSet, there metav1.Object) bool {
	return have == nil || have.UID != there.GetUID() || have.Generation < there.GetGeneration()
}
