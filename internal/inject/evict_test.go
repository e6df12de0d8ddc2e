// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestKudasVolumesAreSafeToEvict(t *testing.T) {
	for name, c := range map[string]struct {
		has, want string
		store     StoreMode
		driver    string
		dataSets  []*v1alpha1.DataSet
	}{
		"pod store":          {"", "kuda-store", StorePod, "", nil},
		"node store":         {"", "kuda-store", StoreNode, "", nil},
		"kuda-node's":        {"kuda-store", "", StoreNode, sidecar.CSIDriver, nil},
		"beside kuda-node's": {"scratch", "scratch", StoreNode, sidecar.CSIDriver, nil},
		"the user's own":     {"scratch, cache", "scratch,cache,kuda-store", StorePod, "", nil},
		"a plugin's": {"scratch", "scratch,kuda-store,kuda-plugin-sftp", StorePod, "",
			[]*v1alpha1.DataSet{dataSet("all", everySource)}},
		"an earlier pod's":      {"kuda-plugin-old,scratch,kuda-store", "scratch,kuda-store", StorePod, "", nil},
		"a value that is empty": {",", "kuda-store", StorePod, "", nil},
	} {
		req := request(pod(func(p *corev1.Pod) {
			if c.has != "" {
				p.Annotations = map[string]string{annotationEvictable: c.has}
			}
		}))
		req.Settings.Store, req.Settings.NodeDriver = c.store, c.driver
		if c.dataSets != nil {
			req.DataSets = c.dataSets
		}
		p := mustInject(t, req)
		if got := p.Annotations[annotationEvictable]; got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		req.Pod = p
		if got := mustInject(t, req).Annotations[annotationEvictable]; got != c.want {
			t.Errorf("%s: got %q at the second call", name, got)
		}
	}
}
