// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// annotationEvictable names the volumes on the node, comma-separated, for which the
// cluster autoscaler does not keep a node that it would remove.
const annotationEvictable = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"

// setEvictable adds Kuda's volumes on the node to those that the pod's creator named:
// what is in them can be downloaded again. Volumes of kuda-node keep no node.
func (p plan) setEvictable(pod *corev1.Pod) {
	var names []string
	for _, name := range strings.Split(pod.Annotations[annotationEvictable], ",") {
		if name = strings.TrimSpace(name); name != "" && !isOwnVolume(name) {
			names = append(names, name)
		}
	}
	for _, v := range p.kudaVolumes() {
		if (v.EmptyDir != nil || v.HostPath != nil) && !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		delete(pod.Annotations, annotationEvictable)
		return
	}
	pod.Annotations[annotationEvictable] = strings.Join(names, ",")
}
