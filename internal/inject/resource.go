// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"iter"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// cpuLimit is the runtime's where it has to have one and the installation names
// none: enough to download at some 100 MB/s.
var cpuLimit = resource.MustParse("250m")

// What the runtime asks for of the node's disk where it has to ask, and the installation
// names nothing: enough for its log. What it downloads is in volumes.
var (
	storageRequest = resource.MustParse("16Mi")
	storageLimit   = resource.MustParse("128Mi")
)

// runtimeResources are the runtime's in this pod: as configured, but
//   - a pod whose containers all limit their CPU, as quotas demand, gets a
//     runtime that does;
//   - a pod of QoS class Guaranteed stays one;
//   - a pod with resources of its own as a whole shares them with the runtime,
//     because theirs may not exceed the pod's.
func runtimeResources(configured corev1.ResourceRequirements, spec *corev1.PodSpec) corev1.ResourceRequirements {
	if hasResources(spec) {
		return corev1.ResourceRequirements{}
	}
	result := *configured.DeepCopy()
	if allAppContainers(spec, func(c *corev1.Container) bool { return !c.Resources.Limits.Cpu().IsZero() }) {
		limitCPU(&result)
	}
	if allAppContainers(spec, isGuaranteed) {
		if _, ok := result.Limits[corev1.ResourceMemory]; !ok {
			setLimit(&result, corev1.ResourceMemory, result.Requests[corev1.ResourceMemory])
		}
		result.Requests = result.Limits.DeepCopy()
	}
	return result
}

// hasResources reports whether the pod has resources of its own as a whole.
func hasResources(spec *corev1.PodSpec) bool {
	return spec.Resources != nil && (len(spec.Resources.Requests) > 0 || len(spec.Resources.Limits) > 0)
}

// mergeResources returns the resources of a container that is made anew: as wanted, but
// what others raised (a VerticalPodAutoscaler, a LimitRange) stays raised. A limit
// that Kuda does not set stays if it is no less than the request; nothing goes
// below what Kuda asks for.
func mergeResources(have, want corev1.ResourceRequirements) corev1.ResourceRequirements {
	result := *want.DeepCopy()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if request, ok := have.Requests[name]; ok && request.Cmp(result.Requests[name]) > 0 {
			if result.Requests == nil {
				result.Requests = corev1.ResourceList{}
			}
			result.Requests[name] = request
		}
		floor := result.Requests[name]
		if limit, ok := want.Limits[name]; ok && limit.Cmp(floor) > 0 {
			floor = limit
		}
		if limit, ok := have.Limits[name]; ok && limit.Cmp(floor) >= 0 {
			setLimit(&result, name, limit)
		} else if limit, ok := want.Limits[name]; ok && limit.Cmp(floor) < 0 {
			setLimit(&result, name, floor)
		}
	}
	return result
}

func limitCPU(r *corev1.ResourceRequirements) {
	if _, ok := r.Limits[corev1.ResourceCPU]; ok {
		return
	}
	limit := cpuLimit.DeepCopy()
	if request := r.Requests.Cpu(); request.Cmp(limit) > 0 {
		limit = request.DeepCopy()
	}
	setLimit(r, corev1.ResourceCPU, limit)
}

// resources are those of a container of Kuda's, as resources says; and where all of the
// pod's own containers have a request, or a limit, of ephemeral storage, as quotas
// demand, so has Kuda's, if the namespace has no default for it.
func (p plan) resources(configured corev1.ResourceRequirements, spec *corev1.PodSpec) corev1.ResourceRequirements {
	result := runtimeResources(configured, spec)
	if !hasResources(spec) && !p.defaultsStorage() {
		takeStorage(&result, spec)
	}
	return result
}

// defaultsStorage reports whether containers of the namespace that say nothing of
// ephemeral storage are given some.
func (p plan) defaultsStorage() bool {
	has := func(l corev1.ResourceList) bool { return !l.StorageEphemeral().IsZero() }
	return slices.ContainsFunc(p.Namespace.LimitRanges, func(r *corev1.LimitRange) bool {
		return slices.ContainsFunc(r.Spec.Limits, func(i corev1.LimitRangeItem) bool {
			return i.Type == corev1.LimitTypeContainer && (has(i.Default) || has(i.DefaultRequest))
		})
	})
}

func takeStorage(r *corev1.ResourceRequirements, spec *corev1.PodSpec) {
	const storage = corev1.ResourceEphemeralStorage
	limits := allAppContainers(spec, func(c *corev1.Container) bool { return !c.Resources.Limits.StorageEphemeral().IsZero() })
	// What has a limit and no request requests as much.
	requests := allAppContainers(spec, func(c *corev1.Container) bool {
		return !c.Resources.Requests.StorageEphemeral().IsZero() || !c.Resources.Limits.StorageEphemeral().IsZero()
	})
	if _, ok := r.Requests[storage]; requests && !ok {
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		request := storageRequest.DeepCopy()
		if limit, ok := r.Limits[storage]; ok && limit.Cmp(request) < 0 {
			request = limit.DeepCopy()
		}
		r.Requests[storage] = request
	}
	if _, ok := r.Limits[storage]; limits && !ok {
		limit := storageLimit.DeepCopy()
		if request := r.Requests.StorageEphemeral(); request.Cmp(limit) > 0 {
			limit = request.DeepCopy()
		}
		setLimit(r, storage, limit)
	}
}

func setLimit(r *corev1.ResourceRequirements, name corev1.ResourceName, limit resource.Quantity) {
	if r.Limits == nil {
		r.Limits = corev1.ResourceList{}
	}
	r.Limits[name] = limit
}

// appContainers are the pod's own containers: all but the runtime and the plugins.
func appContainers(spec *corev1.PodSpec) iter.Seq[*corev1.Container] {
	return func(yield func(*corev1.Container) bool) {
		for i := range spec.InitContainers {
			if c := &spec.InitContainers[i]; !isOwnContainer(c.Name) && !yield(c) {
				return
			}
		}
		for i := range spec.Containers {
			if !yield(&spec.Containers[i]) {
				return
			}
		}
	}
}

// allAppContainers reports whether something holds for all of the pod's own containers.
func allAppContainers(spec *corev1.PodSpec, holds func(*corev1.Container) bool) bool {
	for c := range appContainers(spec) {
		if !holds(c) {
			return false
		}
	}
	return true
}

// isGuaranteed reports whether the container's requests equal its limits, for CPU
// and memory both; requests that are left out equal the limits.
func isGuaranteed(c *corev1.Container) bool {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, ok := c.Resources.Limits[name]
		if !ok || limit.IsZero() {
			return false
		}
		if request, ok := c.Resources.Requests[name]; ok && request.Cmp(limit) != 0 {
			return false
		}
	}
	return true
}
