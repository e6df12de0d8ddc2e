// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
)

// Holds reports whether the pod may still have the items of its Data in its view.
// p is nil when the pod is gone. A pod that ended, that said the items are out, or
// whose runtime has never run holds nothing.
func Holds(d *v1alpha1.Data, p *corev1.Pod) bool {
	switch {
	case p == nil, p.UID != PodUID(d), podstate.Finished(p), Withdrawn(d):
		return false
	}
	return podstate.Started(p) || Reported(d)
}
