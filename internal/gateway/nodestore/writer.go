// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// maxAttempts bounds the writes that lose against others' writes.
const maxAttempts = 5

var (
	// ErrNoNode is of a report from a node that is not, or no longer, in the cluster.
	ErrNoNode = errors.New("the node is not in the cluster")

	errBusy = errors.New("others kept changing it")
)

// Writer writes NodeStores. Cached may be behind, live may not.
type Writer struct {
	Cached client.Reader
	Live   client.Reader
	Client client.Client
	Clock  clock.PassiveClock
}

// stampEntry dates a report that has just come, and records the boot of the
// machine in which it came. The boot is the node's statement, not the runtime's:
// a tenant could state anything, and a sandbox with a kernel of its own has
// another boot. A report that comes before the kubelet has told of a new boot is
// dated to the one before, taken out with it, and asked for again.
func (w *Writer) stampEntry(ctx context.Context, name string, e *v1alpha1.NamespaceStore) error {
	node, err := w.cachedNode(ctx, name)
	if err != nil || node == nil {
		return err
	}
	e.BootID = node.BootID
	if e.NamespaceUID, err = w.namespaceUID(ctx, e.Namespace); err != nil {
		return err
	}
	// The node's clock may go before this one. It was Ready when the report came.
	if since := node.ReadySince.Truncate(time.Second); since.After(e.ObservedTime.Time) {
		e.ObservedTime = metav1.Time{Time: since}
	}
	return nil
}

// namespaceUID is the cache's; "": it knows no such namespace yet.
func (w *Writer) namespaceUID(ctx context.Context, name string) (string, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := w.Cached.Get(ctx, types.NamespacedName{Name: name}, namespace); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return string(namespace.UID), nil
}

// gradeEntry returns how grave the difference is that the entry makes, as far as the
// cache knows.
func (w *Writer) gradeEntry(ctx context.Context, name string, e v1alpha1.NamespaceStore) (change, error) {
	return w.gradeReport(ctx, name, nil, e)
}

// gradeReport is gradeEntry of a keeper's report; nil: the entries are a runtime's.
func (w *Writer) gradeReport(ctx context.Context, name string, report *NodeReport, entries ...v1alpha1.NamespaceStore) (change, error) {
	var s v1alpha1.NodeStore
	if err := w.Cached.Get(ctx, types.NamespacedName{Name: name}, &s); err != nil {
		if apierrors.IsNotFound(err) {
			return contents, nil
		}
		return nothing, fmt.Errorf("reading NodeStore %s: %w", name, err)
	}
	node, err := w.cachedNode(ctx, name)
	if err != nil {
		return nothing, err
	}
	if node == nil || index.OwnerOf(&s) != node.UID {
		return contents, nil
	}
	return max(gradeNode(&s.Status, report), gradeEntries(&s, node, entries...)), nil
}

// cachedNode returns the cache's node; nil: the cache has no node of that name.
func (w *Writer) cachedNode(ctx context.Context, name string) (*index.Node, error) {
	var n corev1.Node
	if err := w.Cached.Get(ctx, types.NamespacedName{Name: name}, &n); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading node %s: %w", name, err)
	}
	out := index.NodeOf(&n)
	return &out, nil
}

// updateStatus puts the entries into the NodeStore. It returns false when they are
// there already. It never works on what a cache says: an entry of another
// namespace that the cache does not show yet is not to be lost. report is a keeper's, or nil.
func (w *Writer) updateStatus(ctx context.Context, name string, report *NodeReport, entries []v1alpha1.NamespaceStore) (bool, error) {
	node, err := w.cachedNode(ctx, name)
	if err != nil {
		return false, err
	}
	var last error
	for range maxAttempts {
		s, err := w.readOrCreate(ctx, name, node)
		if err != nil {
			if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
				last = err
				continue
			}
			return false, err
		}
		if max(gradeNode(&s.Status, report), gradeEntries(s, node, entries...)) == nothing {
			return false, nil
		}
		before := s.DeepCopy()
		s.Status = MergeNode(&s.Status, report, entries...)
		last = w.Client.Status().Patch(ctx, s, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		switch {
		case last == nil:
			return true, nil
		case !apierrors.IsConflict(last) && !apierrors.IsNotFound(last):
			return false, fmt.Errorf("writing the status of NodeStore %s: %w", name, last)
		}
	}
	return false, fmt.Errorf("writing the status of NodeStore %s: %w", name, errors.Join(errBusy, last))
}

// readOrCreate reads the NodeStore, or makes it. One that belongs to an earlier node of
// the name is not touched but replaced: what it says is of another machine.
func (w *Writer) readOrCreate(ctx context.Context, name string, cached *index.Node) (*v1alpha1.NodeStore, error) {
	var s v1alpha1.NodeStore
	err := w.Live.Get(ctx, types.NamespacedName{Name: name}, &s)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading NodeStore %s: %w", name, err)
	}
	if err == nil && cached != nil && index.OwnerOf(&s) == cached.UID {
		return &s, nil
	}
	node := &metav1.PartialObjectMetadata{}
	node.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Node"))
	switch nodeErr := w.Live.Get(ctx, types.NamespacedName{Name: name}, node); {
	case apierrors.IsNotFound(nodeErr):
		return nil, ErrNoNode
	case nodeErr != nil:
		return nil, fmt.Errorf("reading node %s: %w", name, nodeErr)
	}
	if err == nil {
		if index.OwnerOf(&s) == node.UID {
			return &s, nil
		}
		if err := w.Client.Delete(ctx, &s, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("deleting the NodeStore of an earlier node %s: %w", name, err)
		}
	}
	s = v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{
		Name:            name,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: node.UID}},
	}}
	if err := w.Client.Create(ctx, &s); err != nil {
		return nil, fmt.Errorf("making NodeStore %s: %w", name, err)
	}
	return &s, nil
}
