// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// signer is the key of the plugin's part of a pod's signature.
const signer = "kuda.io/" + Name

// SignPod lets the scheduler use what it found out for one pod for the next that
// wants the same data. Without it, it would do so for no pod at all.
func (p *Plugin) SignPod(ctx context.Context, pod *corev1.Pod) ([]fwk.SignFragment, *fwk.Status) {
	s := p.computeState(ctx, pod)
	if s == nil {
		return nil, nil
	}
	value := make([]string, 0, 1+len(s.dataSets)+len(s.Wants))
	value = append(value, pod.Namespace)
	for _, d := range s.dataSets {
		value = append(value, d.Name)
	}
	for _, w := range s.Wants {
		value = append(value, w.Mark)
	}
	return []fwk.SignFragment{{Key: signer, Value: value}}, nil
}
