// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/convert"
	"github.com/kuda-io/kuda/internal/domain/revision"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// desiredPrefetch returns what a Data's pod is to have in its store beside what it is
// to have; nil: nothing. A revision that cannot be told is nothing too, which
// only means that a later move has to download it.
func (w *desires) desiredPrefetch(ctx context.Context, d *v1alpha1.Data) (*gatewayv1alpha1.Prefetch, error) {
	name := d.Spec.PrefetchRevision
	if name == "" || name == d.Spec.Revision || d.Spec.Withdraw {
		return nil, nil
	}
	template, problem, err := w.revisionTemplate(ctx, d, name)
	if err != nil {
		return nil, err
	}
	if problem != "" {
		w.logOnce(d, name, problem)
		return nil, nil
	}
	items, sources := convert.Contents(template.DataItems, &template.DataSources)
	return &gatewayv1alpha1.Prefetch{Revision: name, Items: items, Sources: sources, FillCache: d.Spec.FillCache}, nil
}

// revisionTemplate reads what a revision of the Data's own DataSet holds, or returns
// what is wrong with it.
func (w *desires) revisionTemplate(ctx context.Context, d *v1alpha1.Data, name string) (template v1alpha1.DataTemplateSpec,
	problem string, err error) {
	var owner v1alpha1.DataSet
	var r appsv1.ControllerRevision
	for key, object := range map[string]client.Object{assignment.DataSet(d): &owner, name: &r} {
		switch err := w.cachedOrLive(ctx, types.NamespacedName{Namespace: w.caller.Namespace, Name: key}, object); {
		case apierrors.IsNotFound(err):
			return template, fmt.Sprintf("%s is gone", key), nil
		case err != nil:
			return template, "", fmt.Errorf("reading %s: %w", key, err)
		}
	}
	if !revision.IsOf(&r, &owner) {
		return template, "it is not the DataSet's own", nil
	}
	template, err = revision.Template(&r)
	if err != nil {
		return template, err.Error(), nil //nolint:nilerr // the problem says it
	}
	return template, "", nil
}

// cachedOrLive reads from the cache, and live what the cache does not know yet.
func (w *desires) cachedOrLive(ctx context.Context, key types.NamespacedName, object client.Object) error {
	err := w.cached.Get(ctx, key, object)
	if apierrors.IsNotFound(err) {
		err = w.live.Get(ctx, key, object)
	}
	return err
}

// logOnce keeps a stream that is woken often from repeating itself.
func (w *desires) logOnce(d *v1alpha1.Data, name, problem string) {
	text := d.Name + " " + name + " " + problem
	if w.logged[text] {
		return
	}
	w.logged = map[string]bool{text: true}
	w.log.Info("left out a revision that was to be prefetched", "namespace", d.Namespace, "data", d.Name,
		"revision", name, "reason", problem)
}
