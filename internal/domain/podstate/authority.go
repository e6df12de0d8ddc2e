// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/internal/domain/authority"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// authorityKey is the annotation, in the cache only, that describes the certificates
// which a pod was given: its spec, which has them, is stripped. What a user writes
// there is replaced.
const authorityKey = "cache.kuda.io/authority"

// Authority describes the certificates that the pod's runtime was given to check the
// gateway by (package authority); "" where that is not known.
func Authority(p *corev1.Pod) string {
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if c.Name != sidecar.ContainerName {
			continue
		}
		for _, e := range c.Env {
			if e.Name == sidecar.EnvGatewayCA {
				return descriptions.describe(e.Value)
			}
		}
		if len(c.Env) == 0 { // stripped before
			return p.Annotations[authorityKey]
		}
	}
	return ""
}

// keepAuthority keeps what Authority returns.
func keepAuthority(stripped, p *corev1.Pod) {
	given := Authority(p)
	if given == "" {
		return
	}
	if stripped.Annotations == nil {
		stripped.Annotations = make(map[string]string, 1)
	}
	stripped.Annotations[authorityKey] = given
}

// described remembers the last description: nearly all pods have the same bundle.
type described struct {
	mu           sync.Mutex
	bundle, text string
}

var descriptions described

func (d *described) describe(bundle string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bundle != bundle {
		d.bundle, d.text = bundle, authority.Describe([]byte(bundle))
	}
	return d.text
}
