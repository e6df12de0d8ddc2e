// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"errors"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// catalog is the DataSets, and what new pods of each get.
type catalog struct {
	// revisions are read where a DataSet's status names one.
	revisions client.Reader

	mu         sync.Mutex
	namespaces map[string]*shelf
}

// shelf is one namespace.
type shelf struct {
	dataSets map[string]*v1alpha1.DataSet
	list     []*v1alpha1.DataSet
	// wants of the DataSets that were asked for since they changed, by name.
	wants map[string][]index.Want
}

func newShelf() *shelf {
	return &shelf{dataSets: map[string]*v1alpha1.DataSet{}, wants: map[string][]index.Want{}}
}

// listWith is the list with those that are not in it.
func (s *shelf) listWith(unseen []*v1alpha1.DataSet) []*v1alpha1.DataSet {
	if len(unseen) == 0 {
		return s.list
	}
	list := slices.Clone(s.list)
	for _, d := range unseen {
		if s.dataSets[d.Name] == nil {
			list = append(list, d)
		}
	}
	return list
}

// hasDataSet reports whether an event has told of a DataSet.
func (c *catalog) hasDataSet(namespace, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.namespaces[namespace]
	return s != nil && s.dataSets[name] != nil
}

func newCatalog() *catalog { return &catalog{namespaces: map[string]*shelf{}} }

func (c *catalog) set(d *v1alpha1.DataSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.namespaces[d.Namespace]
	if s == nil {
		s = newShelf()
		c.namespaces[d.Namespace] = s
	}
	s.dataSets[d.Name] = d
	s.rebuildList(d.Name)
}

func (c *catalog) delete(namespace, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.namespaces[namespace]
	if s == nil {
		return
	}
	delete(s.dataSets, name)
	s.rebuildList(name)
	if len(s.dataSets) == 0 {
		delete(c.namespaces, namespace)
	}
}

// invalidateWants takes note that a revision of a DataSet came or went.
func (c *catalog) invalidateWants(namespace, dataSet string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.namespaces[namespace]; s != nil {
		delete(s.wants, dataSet)
	}
}

func (s *shelf) rebuildList(name string) {
	delete(s.wants, name)
	s.list = s.list[:0:0]
	for _, d := range s.dataSets {
		s.list = append(s.list, d)
	}
}

// wantsOf returns which DataSets select a pod, but for those that leave it alone
// (placement Ignore), and what it wants of them. Those that are unseen are
// looked at besides those that are known.
func (c *catalog) wantsOf(ctx context.Context, pod *corev1.Pod, unseen ...*v1alpha1.DataSet) ([]*v1alpha1.DataSet, []index.Want, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.namespaces[pod.Namespace]
	if s == nil {
		s = newShelf()
	}
	var wants []index.Want
	selecting := inject.Selecting(s.listWith(unseen), pod.Labels)
	for _, d := range selecting {
		known, ok := s.wants[d.Name]
		if !ok {
			var err error
			if known, err = placement.Of(ctx, c.revisions, []*v1alpha1.DataSet{d}); err != nil {
				return nil, nil, err
			}
			if s.dataSets[d.Name] == d {
				s.wants[d.Name] = known
			}
		}
		wants = append(wants, known...)
	}
	return selecting, wants, nil
}

// revisionReader reads revisions from a lister's cache.
type revisionReader struct {
	lister appslisters.ControllerRevisionLister
}

var errRevisionsOnly = errors.New("only single revisions can be read here")

// Get copies a revision that is cached.
func (r revisionReader) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	into, ok := object.(*appsv1.ControllerRevision)
	if !ok {
		return errRevisionsOnly
	}
	found, err := r.lister.ControllerRevisions(key.Namespace).Get(key.Name)
	if err != nil {
		return err
	}
	found.DeepCopyInto(into)
	return nil
}

// List is refused: nothing lists revisions.
func (r revisionReader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errRevisionsOnly
}
