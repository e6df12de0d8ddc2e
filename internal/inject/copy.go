// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// isCopy reports whether the pod has parts that Kuda made, whatever it says of itself:
// a copy of an injected pod (kubectl debug --copy-to) may have lost the annotation, the
// labels and the runtime. It is recognized by the runtime's token, which only the
// runtime uses.
func isCopy(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
		return v.Name == sidecar.VolumeToken && v.Projected != nil &&
			slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
				return s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == sidecar.TokenAudience
			})
	})
}

// Disown returns a copy of an injected pod without what Kuda gave to that one: its
// runtime would ask for data for ever. It returns nil if the pod is none, or has a use
// for Kuda's volumes that Kuda did not make.
func Disown(pod *corev1.Pod) *corev1.Pod {
	if !isCopy(&pod.Spec) {
		return nil
	}
	bare := pod.DeepCopy()
	spec := &bare.Spec
	spec.InitContainers = slices.DeleteFunc(spec.InitContainers, func(c corev1.Container) bool { return isOwnContainer(c.Name) })
	spec.Volumes = slices.DeleteFunc(spec.Volumes, func(v corev1.Volume) bool { return isOwnVolume(v.Name) })
	for c := range appContainers(spec) {
		c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, isView)
		c.Env = slices.DeleteFunc(c.Env, isOwnVariable)
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return isOwnVolume(m.Name) }) ||
			slices.ContainsFunc(c.VolumeDevices, func(d corev1.VolumeDevice) bool { return isOwnVolume(d.Name) }) {
			return nil
		}
	}
	for _, key := range claims {
		delete(bare.Annotations, key)
	}
	delete(bare.Annotations, v1alpha1.AnnotationNotInjected)
	return bare
}

func isOwnVariable(e corev1.EnvVar) bool {
	return e.Name == sidecar.EnvPodUID || e.Name == sidecar.EnvServerPort
}
