// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/gateway/hub"
	"github.com/kuda-io/kuda/internal/placement/index"
)

var errNotSynced = errors.New("the cache did not fill before the gateway was stopped")

// watchCache wakes streams when the cache changes in a way that they speak of, calls
// gone for pods that were deleted, and returns when the cache has filled.
func watchCache(ctx context.Context, c cache.Cache, h *hub.Hub, gone func(types.UID)) error {
	handlers := map[client.Object]toolscache.ResourceEventHandler{
		&v1alpha1.Data{}:    onChange(dataDiffers, func(d *v1alpha1.Data) { h.Wake(assignment.PodUID(d)) }),
		&v1alpha1.DataSet{}: onDataSet(h),
		&corev1.Pod{}:       onPod(h, gone),
		&corev1.Node{}:      onChange(nodeDiffers, func(n *corev1.Node) { h.Reconnect(n.Name) }),
		// No stream waits for these; they are read when a report comes.
		&v1alpha1.NodeStore{}: toolscache.ResourceEventHandlerFuncs{},
	}
	return watchObjects(ctx, c, handlers)
}

// watchNamespaces wakes the streams of keepers when a namespace goes: they remove what it
// left.
func watchNamespaces(ctx context.Context, c cache.Cache, h *hub.Hub) error {
	return watchObjects(ctx, c, map[client.Object]toolscache.ResourceEventHandler{
		namespaceMetadata(): onDeletion(func(n *metav1.PartialObjectMetadata) { h.WakeNamespace(n.Name) }),
	})
}

// watchObjects adds handlers for kinds of objects, and returns when the cache has filled.
func watchObjects(ctx context.Context, c cache.Cache, handlers map[client.Object]toolscache.ResourceEventHandler) error {
	var synced []toolscache.InformerSynced
	for object, handler := range handlers {
		informer, err := c.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("watching %T: %w", object, err)
		}
		registration, err := informer.AddEventHandler(handler)
		if err != nil {
			return fmt.Errorf("watching %T: %w", object, err)
		}
		synced = append(synced, registration.HasSynced)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), synced...) {
		return errNotSynced
	}
	return nil
}

// onDataSet wakes the streams that ask about a DataSet, and those of all pods of its
// namespace where it preheats: they are told the names of all that do. Others are told
// of a DataSet by their Data.
func onDataSet(h *hub.Hub) toolscache.ResourceEventHandler {
	wake := func(d *v1alpha1.DataSet) {
		if d.Spec.Preheat != nil {
			h.WakeNamespace(d.Namespace)
			return
		}
		h.WakeDataSet(client.ObjectKeyFromObject(d))
	}
	handler := onChange(dataSetDiffers, wake)
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { handler.OnAdd(object, false) },
		DeleteFunc: handler.OnDelete,
		UpdateFunc: func(before, after any) {
			b, okBefore := before.(*v1alpha1.DataSet)
			a, okAfter := after.(*v1alpha1.DataSet)
			if okBefore && okAfter && b.Spec.Preheat != nil && a.Spec.Preheat == nil {
				wake(b)
			}
			handler.OnUpdate(before, after)
		},
	}
}

// onPod wakes the streams of pods, and tells of those that were deleted.
func onPod(h *hub.Hub, gone func(types.UID)) toolscache.ResourceEventHandler {
	handler := onChange(podDiffers, func(p *corev1.Pod) { h.Wake(p.UID) })
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { handler.OnAdd(object, false) },
		DeleteFunc: func(object any) { forDeleted(object, func(p *corev1.Pod) { gone(p.UID) }) },
		UpdateFunc: func(before, after any) {
			b, okBefore := before.(*corev1.Pod)
			a, okAfter := after.(*corev1.Pod)
			if okBefore && okAfter && b.UID != a.UID {
				gone(b.UID)
			}
			handler.OnUpdate(before, after)
		},
	}
}

// onDeletion calls act for every object that goes, also when another has its name at once.
func onDeletion[T client.Object](act func(T)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		DeleteFunc: func(object any) { forDeleted(object, act) },
		UpdateFunc: func(before, after any) {
			b, okBefore := before.(T)
			a, okAfter := after.(T)
			if okBefore && okAfter && b.GetUID() != a.GetUID() {
				act(b)
			}
		},
	}
}

// namespaceMetadata is what namespaces are read into: their names and UIDs are enough.
func namespaceMetadata() *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return n
}

// forDeleted calls act for a deleted object, also for one of which only the last
// known state is there.
func forDeleted[T client.Object](object any, act func(T)) {
	if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if typed, ok := object.(T); ok {
		act(typed)
	}
}

// onChange calls act for every object that comes, goes, or changes so that
// differs says so.
func onChange[T client.Object](differs func(before, after T) bool, act func(T)) toolscache.ResourceEventHandler {
	once := func(object any) { forDeleted(object, act) }
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    once,
		DeleteFunc: once,
		UpdateFunc: func(before, after any) {
			b, okBefore := before.(T)
			a, okAfter := after.(T)
			switch {
			case !okBefore || !okAfter:
			case b.GetUID() != a.GetUID():
				act(b) // it is gone, and another has its name
				act(a)
			case differs(b, a):
				act(a)
			}
		},
	}
}

// dataDiffers reports whether two states of a Data differ, but for the status, which
// runtimes report themselves.
func dataDiffers(before, after *v1alpha1.Data) bool {
	return before.Generation != after.Generation ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		!maps.Equal(before.Labels, after.Labels)
}

func dataSetDiffers(before, after *v1alpha1.DataSet) bool {
	return !maps.Equal(before.Spec.WorkloadSelector, after.Spec.WorkloadSelector) ||
		(before.Spec.Preheat == nil) != (after.Spec.Preheat == nil) ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil)
}

// nodeDiffers reports whether a node changed such that reports about it are no
// longer trusted.
func nodeDiffers(before, after *corev1.Node) bool {
	return index.HasReturned(index.NodeOf(before), index.NodeOf(after))
}

func podDiffers(before, after *corev1.Pod) bool { return !maps.Equal(before.Labels, after.Labels) }
