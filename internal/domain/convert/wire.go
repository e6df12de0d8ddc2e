// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Assignment is a Data in the words of the protocol.
func Assignment(d *v1alpha1.Data) *gatewayv1alpha1.Assignment {
	items, sources := Contents(d.Spec.DataItems, &d.Spec.DataSources)
	return &gatewayv1alpha1.Assignment{
		Data:      d.Name,
		Dataset:   assignment.DataSet(d),
		Revision:  d.Spec.Revision,
		Items:     items,
		Sources:   sources,
		Lifecycle: toLifecycle(d.Spec.Lifecycle),
		Withdraw:  d.Spec.Withdraw,
		Preheat:   assignment.Preheats(d),

		RetryToken: assignment.RetryToken(d),
		FillCache:  d.Spec.FillCache && d.Spec.PrefetchRevision == "",
	}
}

// Contents is items, and the sources that they refer to. A source that is not
// described is missing; the runtime reports items of it as misconfigured.
func Contents(items []v1alpha1.DataItem, sources *v1alpha1.DataSources) ([]*gatewayv1alpha1.Item, []*gatewayv1alpha1.Source) {
	var outItems []*gatewayv1alpha1.Item
	var outSources []*gatewayv1alpha1.Source
	given := make(map[v1alpha1.DataSourceType]*gatewayv1alpha1.Source)
	for _, s := range sourcekind.Describe(sources, nil) {
		given[s.Kind] = s.Message
	}
	for i := range items {
		item := &items[i]
		outItems = append(outItems, toItem(item))
		if source := given[item.DataSourceType]; source != nil {
			outSources = append(outSources, source)
			delete(given, item.DataSourceType)
		}
	}
	return outItems, outSources
}

func toItem(i *v1alpha1.DataItem) *gatewayv1alpha1.Item {
	item := &gatewayv1alpha1.Item{
		Namespace:  i.Namespace,
		Name:       i.Name,
		Version:    i.Version,
		RemotePath: i.RemotePath,
		LocalPath:  i.LocalPath,
		Source:     string(i.DataSourceType),
		Digest:     i.Digest,
		Include:    i.Include,
		Exclude:    i.Exclude,
		Lifecycle:  toLifecycle(i.Lifecycle),
	}
	if i.Mode != nil {
		mode := uint32(*i.Mode)
		item.Mode = &mode
	}
	return item
}

func toLifecycle(l *v1alpha1.Lifecycle) *gatewayv1alpha1.Lifecycle {
	if l == nil {
		return nil
	}
	return &gatewayv1alpha1.Lifecycle{PreDownload: toHook(l.PreDownload), PostDownload: toHook(l.PostDownload)}
}

// toHook leaves the command of an exec hook out: the runtime only needs to know
// that there is one.
func toHook(h *v1alpha1.LifecycleHandler) *gatewayv1alpha1.Hook {
	switch {
	case h == nil:
		return nil
	case h.Exec != nil:
		return &gatewayv1alpha1.Hook{Action: &gatewayv1alpha1.Hook_Exec{Exec: &gatewayv1alpha1.ExecHook{}}}
	case h.HTTPGet != nil:
		return &gatewayv1alpha1.Hook{Action: &gatewayv1alpha1.Hook_HttpGet{HttpGet: toHTTPGet(h.HTTPGet)}}
	default:
		return nil
	}
}

func toHTTPGet(a *corev1.HTTPGetAction) *gatewayv1alpha1.HTTPGetHook {
	h := &gatewayv1alpha1.HTTPGetHook{Port: a.Port.IntVal, Path: a.Path, Scheme: string(a.Scheme)}
	for _, header := range a.HTTPHeaders {
		h.Headers = append(h.Headers, &gatewayv1alpha1.Header{Name: header.Name, Value: header.Value})
	}
	return h
}
