// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
)

// startAfter are the sidecars that the pod wants to start before the runtime.
func startAfter(pod *corev1.Pod) []string {
	var list []string
	for _, name := range strings.Split(pod.Annotations[v1alpha1.AnnotationStartAfter], ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// AbsentSidecars returns the names by which the pod wants sidecars to start before
// the runtime, and which no sidecar of it has.
func AbsentSidecars(pod *corev1.Pod) []string {
	return slices.DeleteFunc(startAfter(pod), func(name string) bool { return sidecarAt(&pod.Spec, name) >= 0 })
}

// sidecarAt returns the place of one of the pod's own sidecars among the init
// containers; -1 if no sidecar has that name.
func sidecarAt(spec *corev1.PodSpec, name string) int {
	return slices.IndexFunc(spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == name && !isOwnContainer(name) && podstate.IsNativeSidecar(&c)
	})
}

// earliestPlace is the first place among the init containers at which the runtime starts
// after the sidecars that the pod names: the first of all if it names none.
func (p plan) earliestPlace(spec *corev1.PodSpec) int {
	place := 0
	for _, name := range startAfter(p.Pod) {
		place = max(place, sidecarAt(spec, name)+1)
	}
	return place
}

// placeContainer puts one of Kuda's containers among the init containers: where it is, if
// that is not too early, else at the given place or the earliest one. It returns the
// place, and whether the container was there already. What is made of it goes by
// want alone, but for resources that others raised.
func (p plan) placeContainer(spec *corev1.PodSpec, want corev1.Container, place int) (at int, there bool) {
	at = slices.IndexFunc(spec.InitContainers, func(c corev1.Container) bool { return c.Name == want.Name })
	if at >= 0 {
		want.Resources = mergeResources(spec.InitContainers[at].Resources, want.Resources)
		if at >= p.earliestPlace(spec) {
			spec.InitContainers[at] = want
			return at, true
		}
		spec.InitContainers = slices.Delete(spec.InitContainers, at, at+1)
		if at < place {
			place--
		}
	}
	place = max(place, p.earliestPlace(spec))
	spec.InitContainers = slices.Insert(spec.InitContainers, place, want)
	return place, false
}

// orderWarnings tell of sidecars that the runtime does not start after, because the pod
// has no sidecar of that name. A webhook that is called later may still add one; this
// one is then called again.
func orderWarnings(pod *corev1.Pod) []string {
	absent := AbsentSidecars(pod)
	if len(absent) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Kuda's runtime does not wait for %s, which the annotation %s names: the pod has no sidecar (an init "+
		"container with restartPolicy Always) of that name, unless another webhook adds it now.",
		strings.Join(absent, ", "), v1alpha1.AnnotationStartAfter)}
}
