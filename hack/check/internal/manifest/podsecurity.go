// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

// CheckPodSecurity holds each container, and the pod around it, against the
// newest Pod Security level "restricted".
func CheckPodSecurity(objects []Object) ([]exception.Finding, error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, fmt.Errorf("preparing Pod Security: %w", err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	var findings []exception.Finding
	for _, o := range objects {
		if o.Pod == nil {
			continue
		}
		for _, single := range singleContainerPods(o.Pod) {
			for _, r := range evaluator.EvaluatePod(level, &o.Pod.Meta, &single.spec) {
				if !r.Allowed {
					findings = append(findings, exception.Finding{
						ID: "pod-security", Where: o.Name + "/" + single.container,
						Message: r.ForbiddenReason + ": " + r.ForbiddenDetail,
					})
				}
			}
		}
	}
	return findings, nil
}

type singleContainerPod struct {
	container string
	spec      corev1.PodSpec
}

// singleContainerPods returns the pod once for each judged container, with that
// container alone: a finding then belongs to one container.
func singleContainerPods(p *Pod) []singleContainerPod {
	var pods []singleContainerPod
	add := func(c corev1.Container, init bool) {
		if !p.judged(c.Name) {
			return
		}
		spec := *p.Spec.DeepCopy()
		spec.InitContainers, spec.Containers, spec.EphemeralContainers = nil, nil, nil
		if init {
			spec.InitContainers = []corev1.Container{c}
		} else {
			spec.Containers = []corev1.Container{c}
		}
		if p.Injected {
			spec.Volumes = volumesOf(c, spec.Volumes)
		}
		pods = append(pods, singleContainerPod{container: c.Name, spec: spec})
	}
	for _, c := range p.Spec.InitContainers {
		add(c, true)
	}
	for _, c := range p.Spec.Containers {
		add(c, false)
	}
	return pods
}

func volumesOf(c corev1.Container, volumes []corev1.Volume) []corev1.Volume {
	var used []corev1.Volume
	for _, v := range volumes {
		for _, m := range c.VolumeMounts {
			if m.Name == v.Name {
				used = append(used, v)
				break
			}
		}
	}
	return used
}
