// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package watch has the predicates of events that several controllers look at.
package watch

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/kuda-io/kuda/internal/placement/index"
)

// Deletions passes deletions only.
func Deletions() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// NodesBack leaves out what nodes say of themselves all the time: of updates it passes
// those of nodes that came back.
func NodesBack() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*corev1.Node)
		after, okAfter := e.ObjectNew.(*corev1.Node)
		return !okBefore || !okAfter || index.HasReturned(index.NodeOf(before), index.NodeOf(after))
	}}
}
