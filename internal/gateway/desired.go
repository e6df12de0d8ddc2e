// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/convert"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// desires finds out what one stream is to say.
type desires struct {
	cached client.Reader
	live   client.Reader
	bundle func() []byte
	log    logr.Logger

	caller   identity.Pod
	datasets []string
	// confirmed are the DataSets that the API server itself said are gone. The
	// cache alone is not believed: it may not know a new DataSet yet, and a
	// runtime that hears "gone" lets its application start without the data.
	confirmed map[string]bool
	// confirm reports whether the API server may be asked now.
	confirm func() bool
	// logged is what was last said of a revision that cannot be prefetched.
	logged map[string]bool
}

func newDesires(s *service, caller identity.Pod, datasets []string) *desires {
	datasets = slices.Clone(datasets[:min(len(datasets), maxDataSets)])
	slices.Sort(datasets)
	return &desires{
		cached: s.cached, live: s.live, bundle: s.bundle, log: s.log,
		caller: caller, datasets: slices.Compact(datasets), confirmed: make(map[string]bool),
		confirm: func() bool { return s.paces.allowLookup(caller.UID) },
	}
}

// readDesired reads what the pod is to have now.
func (w *desires) readDesired(ctx context.Context) (*gatewayv1alpha1.WatchResponse, error) {
	var datas v1alpha1.DataList
	if err := w.cached.List(ctx, &datas, client.InNamespace(w.caller.Namespace),
		client.MatchingFields{fieldindex.PodUID: string(w.caller.UID)}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the pod's Data: %w", err)
	}
	// Not all DataSets of the namespace are looked at: there are as many streams as pods.
	var preheating v1alpha1.DataSetList
	if err := w.cached.List(ctx, &preheating, client.InNamespace(w.caller.Namespace),
		client.MatchingFields{fieldindex.Preheating: fieldindex.Yes}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the namespace's DataSets that preheat: %w", err)
	}
	preheats := w.preheatingDataSets(preheating.Items, datas.Items)
	response := &gatewayv1alpha1.WatchResponse{CaBundle: w.bundle(), Preheats: preheats}
	assigned := make(map[string]bool, len(datas.Items))
	for i := range datas.Items {
		d := &datas.Items[i]
		if d.DeletionTimestamp != nil {
			continue
		}
		assigned[assignment.DataSet(d)] = true
		a := convert.Assignment(d)
		var err error
		if a.Prefetch, err = w.desiredPrefetch(ctx, d); err != nil {
			return nil, err
		}
		response.Assignments = append(response.Assignments, a)
	}
	created, err := w.creationTimes(ctx, response.Assignments)
	if err != nil {
		return nil, err
	}
	sortByPrecedence(response.Assignments, created)
	for _, name := range w.datasets {
		if assigned[name] {
			delete(w.confirmed, name)
			continue
		}
		gone, err := w.isGone(ctx, name)
		if err != nil {
			return nil, err
		}
		if gone {
			response.Gone = append(response.Gone, name)
		}
	}
	return response, nil
}

// creationTimes returns when the DataSets of the assignments were made, in seconds since
// 1970, of those that the cache has.
func (w *desires) creationTimes(ctx context.Context, assignments []*gatewayv1alpha1.Assignment) (map[string]int64, error) {
	created := make(map[string]int64, len(assignments))
	if len(assignments) < 2 {
		return created, nil // there is nothing to put into an order
	}
	for _, a := range assignments {
		var set v1alpha1.DataSet
		key := types.NamespacedName{Namespace: w.caller.Namespace, Name: a.GetDataset()}
		switch err := w.cached.Get(ctx, key, &set, client.UnsafeDisableDeepCopy); {
		case err == nil:
			created[a.GetDataset()] = set.CreationTimestamp.Unix()
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading DataSet %s: %w", a.GetDataset(), err)
		}
	}
	return created, nil
}

// sortByPrecedence puts the assignments into the order in which they get places in
// the view: that of the DataSets' creation, then of their names. It is the same for
// all pods. A DataSet that the cache does not have is a new one, or gone.
func sortByPrecedence(assignments []*gatewayv1alpha1.Assignment, created map[string]int64) {
	since := func(a *gatewayv1alpha1.Assignment) int64 {
		if at, ok := created[a.GetDataset()]; ok {
			return at
		}
		return math.MaxInt64
	}
	slices.SortFunc(assignments, func(a, b *gatewayv1alpha1.Assignment) int {
		return cmp.Or(cmp.Compare(since(a), since(b)), strings.Compare(a.GetDataset(), b.GetDataset()))
	})
}

// preheatingDataSets are the DataSets of the namespace that ask for it, and the one that
// the pod is there for: the cache may show that one's Data before itself.
func (w *desires) preheatingDataSets(sets []v1alpha1.DataSet, datas []v1alpha1.Data) *gatewayv1alpha1.Preheats {
	var names []string
	for i := range sets {
		if d := &sets[i]; d.Spec.Preheat != nil && d.DeletionTimestamp == nil {
			names = append(names, d.Name)
		}
	}
	for i := range datas {
		if d := &datas[i]; assignment.Preheats(d) && d.DeletionTimestamp == nil {
			names = append(names, assignment.DataSet(d))
		}
	}
	slices.Sort(names)
	return &gatewayv1alpha1.Preheats{Datasets: slices.Compact(names)}
}

// isGone reports whether a DataSet without a Data for the pod will never have one.
// One that exists and selects the pod is only late.
func (w *desires) isGone(ctx context.Context, name string) (bool, error) {
	never, err := w.checkGone(ctx, w.cached, name)
	if err != nil || !never {
		delete(w.confirmed, name)
		return false, err
	}
	if !w.confirmed[name] {
		if !w.confirm() {
			// The next repetition of the state says it.
			return false, nil
		}
		if never, err = w.checkGone(ctx, w.live, name); err != nil || !never {
			return false, err
		}
		w.confirmed[name] = true
	}
	return true, nil
}

func (w *desires) checkGone(ctx context.Context, reader client.Reader, name string) (bool, error) {
	var set v1alpha1.DataSet
	err := reader.Get(ctx, types.NamespacedName{Namespace: w.caller.Namespace, Name: name}, &set)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading DataSet %s: %w", name, err)
	case set.DeletionTimestamp != nil:
		return true, nil
	}
	var p corev1.Pod
	err = reader.Get(ctx, types.NamespacedName{Namespace: w.caller.Namespace, Name: w.caller.Name}, &p)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading pod %s: %w", w.caller.Name, err)
	case p.UID != w.caller.UID:
		return false, nil
	case p.Labels[v1alpha1.LabelPreheat] != "":
		return set.Spec.Preheat == nil || !podstate.Preheats(&set, &p), nil
	}
	return !podstate.Selects(set.Spec.WorkloadSelector, &p), nil
}
