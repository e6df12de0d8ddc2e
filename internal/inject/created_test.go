// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestTheRuntimeOfANodeStoreIsToldWhenItsNamespaceWasMade(t *testing.T) {
	created := time.Date(2026, 11, 29, 9, 30, 0, 0, time.FixedZone("CST", 8*3600))
	for name, c := range map[string]struct {
		created time.Time
		labels  map[string]string
		want    string
	}{
		"node store":               {created: created, want: "2026-11-29T01:30:00Z"},
		"node store, time unknown": {},
		"pod store":                {created: created, labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}},
	} {
		req := request(pod())
		req.Namespace.Created, req.Namespace.Labels = c.created, c.labels
		containers := mustInject(t, req).Spec.InitContainers
		at := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == sidecar.ContainerName })
		var got string
		for _, e := range containers[at].Env {
			if e.Name == sidecar.EnvNamespaceCreated {
				got = e.Value
			}
		}
		if got != c.want {
			t.Errorf("%s: %s = %q, want %q", name, sidecar.EnvNamespaceCreated, got, c.want)
		}
	}
}
