// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/internal/inject"
)

// podMeta is what decides whether a pod is any of Kuda's business. Most pods are
// not; of those nothing else is decoded.
type podMeta struct {
	Name              string            `json:"name"`
	GenerateName      string            `json:"generateName"`
	Labels            map[string]string `json:"labels"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
}

// errUnreadable never comes of what an API server sends.
var errUnreadable = errors.New("reading the pod")

func readMeta(raw []byte) (podMeta, error) {
	var pod struct {
		Metadata podMeta `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &pod); err != nil {
		return podMeta{}, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return pod.Metadata, nil
}

// countContainers returns how many containers of all kinds a pod has, at no cost in
// memory: decoded, an empty one is a structure of 1 KiB.
func countContainers(raw []byte) (int, error) {
	var pod struct {
		Spec struct {
			InitContainers      []struct{} `json:"initContainers"`
			Containers          []struct{} `json:"containers"`
			EphemeralContainers []struct{} `json:"ephemeralContainers"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(raw, &pod); err != nil {
		return 0, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return len(pod.Spec.InitContainers) + len(pod.Spec.Containers) + len(pod.Spec.EphemeralContainers), nil
}

// readPod decodes a pod, unless it has more containers than an injected pod may have:
// those are counted first, and the reason is returned in place of the pod.
func readPod(raw []byte) (*corev1.Pod, inject.Skip, error) {
	containers, err := countContainers(raw)
	if err != nil {
		return nil, "", err
	}
	if why := inject.SkipCrowded(containers); why != "" {
		return nil, why, nil
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return pod, "", nil
}

// podName is the name, or what it will begin with.
func podName(req admission.Request) string {
	if req.Name != "" {
		return req.Name
	}
	// What cannot be read has no name; the error is reported by who reads the pod.
	meta, _ := readMeta(req.Object.Raw)
	if meta.Name != "" {
		return meta.Name
	}
	return meta.GenerateName + "*"
}
