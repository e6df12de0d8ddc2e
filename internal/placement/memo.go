// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Memo decides as Of does, and remembers what new pods of each DataSet want
// until its spec or its stable revision is another: revisions never change, so
// each is read and hashed once. It is safe for concurrent use.
type Memo struct {
	// Reader reads ControllerRevisions.
	Reader client.Reader

	mu     sync.RWMutex
	wanted map[types.NamespacedName]remembered
}

// remembered is what one DataSet's new pods want, and of which state of it that is so.
type remembered struct {
	uid        types.UID
	generation int64
	revision   string
	wants      []index.Want
}

// maxRemembered bounds what is kept of DataSets that are gone.
const maxRemembered = 4096

// Of is what a pod wants that these DataSets select, but for those whose
// placement is Ignore.
func (m *Memo) Of(ctx context.Context, dataSets []*v1alpha1.DataSet) ([]index.Want, error) {
	return gatherWants(dataSets, func(d *v1alpha1.DataSet) ([]index.Want, error) { return m.wantsOf(ctx, d) })
}

func (m *Memo) wantsOf(ctx context.Context, d *v1alpha1.DataSet) ([]index.Want, error) {
	name := types.NamespacedName{Namespace: d.Namespace, Name: d.Name}
	revision := Revision(d)
	m.mu.RLock()
	have, ok := m.wanted[name]
	m.mu.RUnlock()
	if ok && have.uid == d.UID && have.generation == d.Generation && have.revision == revision {
		return have.wants, nil
	}
	template, final, err := readTemplate(ctx, m.Reader, d, revision)
	if err != nil {
		return nil, err
	}
	wants := Wants(d, template)
	if !final { // the revision may only not be there yet
		return wants, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wanted == nil || len(m.wanted) >= maxRemembered {
		m.wanted = map[types.NamespacedName]remembered{}
	}
	m.wanted[name] = remembered{uid: d.UID, generation: d.Generation, revision: revision, wants: wants}
	return wants, nil
}
