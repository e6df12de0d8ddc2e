// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// readTimeout bounds a read from the API server: scheduling waits for it.
const readTimeout = 500 * time.Millisecond

// readDataSet reads one DataSet past the cache.
type readDataSet func(ctx context.Context, namespace, name string) (*v1alpha1.DataSet, error)

func readLive(c rest.Interface) readDataSet {
	return func(ctx context.Context, namespace, name string) (*v1alpha1.DataSet, error) {
		var d v1alpha1.DataSet
		err := c.Get().Namespace(namespace).Resource("datasets").Name(name).Do(ctx).Into(&d)
		return &d, err
	}
}

// unseenDataSets returns the DataSets that the webhook found for a pod and that no event
// has told of yet. A manifest with a DataSet and a Pod in it makes the pod within
// milliseconds of the DataSet, and a pod that requires its data must not slip
// through. What is read here is for this pod alone: the event is to come.
func (p *Plugin) unseenDataSets(ctx context.Context, pod *corev1.Pod) []*v1alpha1.DataSet {
	var unseen []*v1alpha1.DataSet
	for name := range strings.SplitSeq(pod.Annotations[v1alpha1.AnnotationInjected], ",") {
		if name == "" || p.readDataSet == nil || p.catalog.hasDataSet(pod.Namespace, name) {
			continue
		}
		readCtx, cancel := context.WithTimeout(ctx, readTimeout)
		d, err := p.readDataSet(readCtx, pod.Namespace, name)
		cancel()
		switch {
		case err == nil:
			unseen = append(unseen, d)
		case !apierrors.IsNotFound(err):
			p.log.Error(err, "did not learn of a DataSet that the pod was admitted with", "pod", klog.KObj(pod), "dataset", name)
		}
	}
	return unseen
}
