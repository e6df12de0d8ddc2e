// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/internal/admission/jsonspan"
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
	spans, err := jsonspan.Members(raw, "metadata")
	if err != nil {
		return podMeta{}, wrapUnreadable(err)
	}
	var meta podMeta
	if text := spans[0].Of(raw); len(text) > 0 {
		if err := json.Unmarshal(text, &meta); err != nil {
			return podMeta{}, wrapUnreadable(err)
		}
	}
	return meta, nil
}

// countContainers returns how many containers of all kinds a pod has, at no cost in
// memory: decoded, an empty one is a structure of 1 KiB.
func countContainers(raw []byte) (int, error) {
	spans, err := jsonspan.Members(raw, "spec")
	if err != nil || spans[0] == (jsonspan.Span{}) {
		return 0, wrapUnreadable(err)
	}
	spec := spans[0].Of(raw)
	lists, err := jsonspan.Members(spec, "initContainers", "containers", "ephemeralContainers")
	if err != nil {
		return 0, wrapUnreadable(err)
	}
	containers := 0
	for _, list := range lists {
		n, err := jsonspan.Len(list.Of(spec))
		if err != nil {
			return 0, wrapUnreadable(err)
		}
		containers += n
	}
	return containers, nil
}

func wrapUnreadable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errUnreadable, err)
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
		return nil, "", wrapUnreadable(err)
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
