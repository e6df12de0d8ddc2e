// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/shorten"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// checkNames refuses a pod in which something else bears one of Kuda's names. A
// pod that has been injected before, in an earlier call or copied from a running
// one, bears them rightly: what it has under them is made anew, so that nothing
// depends on whether it was Kuda that put it there.
func checkNames(pod *corev1.Pod) error {
	if len(pod.Spec.Containers) == 0 {
		return errors.New("the pod has no container")
	}
	if err := checkStoreLabel("the pod", pod.Labels); err != nil {
		return err
	}
	for i := range pod.Spec.Containers {
		if name := pod.Spec.Containers[i].Name; isOwnContainer(name) {
			return fmt.Errorf("the pod has a container named %s; choose another name for it", name)
		}
	}
	injected := pod.Annotations[v1alpha1.AnnotationInjected] != "" || hasSidecar(&pod.Spec) || isCopy(&pod.Spec)
	seen := names{}
	for i := range pod.Spec.InitContainers {
		name := pod.Spec.InitContainers[i].Name
		if !isOwnContainer(name) {
			continue
		}
		if !injected {
			return fmt.Errorf("the pod has an init container named %s; choose another name for it", name)
		}
		if _, twice := seen["container "+name]; twice {
			return fmt.Errorf("the pod has two init containers named %s; take both out", name)
		}
		seen.add("container " + name)
	}
	for i := range pod.Spec.Volumes {
		name := pod.Spec.Volumes[i].Name
		if !isOwnVolume(name) {
			continue
		}
		if !injected {
			return fmt.Errorf("the pod has a volume named %s; choose another name for it", name)
		}
		if _, twice := seen["volume "+name]; twice {
			return fmt.Errorf("the pod has two volumes named %s; take both out", name)
		}
		seen.add("volume " + name)
	}
	return nil
}

// hasSidecar reports whether the pod has the runtime in the form that Kuda gives
// it: a copy of a running pod may have lost the annotation.
func hasSidecar(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == sidecar.ContainerName && podstate.IsNativeSidecar(&c)
	})
}

// removeStale takes out what bears one of Kuda's names and is not part of the plan,
// such as the volume of a Secret that no DataSet names any more.
func (p plan) removeStale(spec *corev1.PodSpec) {
	containers := names{}
	containers.add(sidecar.ContainerName)
	for _, plugin := range p.offeredPlugins() {
		containers.add(sidecar.PluginPrefix + plugin.name)
	}
	spec.InitContainers = slices.DeleteFunc(spec.InitContainers, func(c corev1.Container) bool {
		_, wanted := containers[c.Name]
		return isOwnContainer(c.Name) && !wanted
	})
	volumes := names{}
	for _, v := range p.kudaVolumes() {
		volumes.add(v.Name)
	}
	spec.Volumes = slices.DeleteFunc(spec.Volumes, func(v corev1.Volume) bool {
		_, wanted := volumes[v.Name]
		return isOwnVolume(v.Name) && !wanted
	})
}

func isOwnVolume(name string) bool {
	switch name {
	case sidecar.VolumeStore, sidecar.VolumeView, sidecar.VolumeToken:
		return true
	}
	return slices.ContainsFunc([]string{
		sidecar.VolumeSecretPrefix, sidecar.VolumeCAPrefix, sidecar.VolumeClaimPrefix, sidecar.VolumeIdentityPrefix, sidecar.PluginPrefix,
	}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// isOwnContainer reports whether a container is the runtime or a plugin.
func isOwnContainer(name string) bool {
	return name == sidecar.ContainerName || strings.HasPrefix(name, sidecar.PluginPrefix)
}

// claims are the annotations by which a pod says that Kuda injected it.
var claims = []string{v1alpha1.AnnotationInjected, v1alpha1.AnnotationStore, v1alpha1.AnnotationPlacement}

// Disclaim returns the operations that take these out of a pod's annotations.
func Disclaim(annotations map[string]string) []Operation {
	after := maps.Clone(annotations)
	for _, key := range claims {
		delete(after, key)
	}
	return PatchAnnotations(annotations, after)
}

// maxReason bounds what an annotation says, in bytes.
const maxReason = 512

// Mark returns the operations that Disclaim does, and that write into a pod's
// annotations why it was not injected.
func Mark(annotations map[string]string, why string) []Operation {
	after := maps.Clone(annotations)
	if after == nil {
		after = make(map[string]string, 1)
	}
	for _, key := range claims {
		delete(after, key)
	}
	after[v1alpha1.AnnotationNotInjected] = shorten.Text(why, maxReason)
	return PatchAnnotations(annotations, after)
}
