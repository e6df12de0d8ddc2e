// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestKudasPullSecretsAreAddedToThoseOfThePod(t *testing.T) {
	named := func(names ...string) []corev1.LocalObjectReference {
		var refs []corev1.LocalObjectReference
		for _, name := range names {
			refs = append(refs, corev1.LocalObjectReference{Name: name})
		}
		return refs
	}
	for name, c := range map[string]struct{ have, configured, want []corev1.LocalObjectReference }{
		"none":             {nil, nil, nil},
		"only the pod's":   {named("own"), nil, named("own")},
		"only Kuda's":      {nil, named("kuda"), named("kuda")},
		"Kuda's come last": {named("own"), named("kuda", "mirror"), named("own", "kuda", "mirror")},
		"the same one":     {named("own", "kuda"), named("kuda"), named("own", "kuda")},
	} {
		for kind, label := range map[string]string{"application": "", "preheat": "model"} {
			req := request(pod(func(p *corev1.Pod) {
				p.Spec.ImagePullSecrets = c.have
				if label != "" {
					p.Labels[v1alpha1.LabelPreheat] = label
				}
			}))
			req.Settings.PullSecrets = c.configured
			if diff := cmp.Diff(c.want, mustInject(t, req).Spec.ImagePullSecrets); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, kind, diff)
			}
		}
	}
}
