// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// written remembers the state of each DataSet that this manager wrote last. The
// cache may be behind it for a moment, and a plan made from an earlier status
// would not know what was decided since: that the rollout is on its way back,
// for example. The lock on a later write of the status catches that only when
// the status changes.
type written struct {
	mu       sync.Mutex
	versions map[types.NamespacedName]string
}

func (w *written) recordWrite(d *v1alpha1.DataSet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = make(map[types.NamespacedName]string)
	}
	w.versions[client.ObjectKeyFromObject(d)] = d.ResourceVersion
}

func (w *written) forgetDataSet(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, name)
}

// hasNewer reports whether the manager wrote a later state than this one. Versions
// that cannot be compared are taken as they come.
func (w *written) hasNewer(d *v1alpha1.DataSet) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.versions[client.ObjectKeyFromObject(d)]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(d.ResourceVersion, last)
	if err != nil || order >= 0 {
		delete(w.versions, client.ObjectKeyFromObject(d))
		return false
	}
	return true
}
