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
	Annotations       map[string]string `json:"annotations"`
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

// countParts returns how many containers of all kinds and how many volumes a pod has,
// at no cost in memory: decoded, an empty container is a structure of 1 KiB.
func countParts(raw []byte) (containers, volumes int, err error) {
	spans, err := jsonspan.Members(raw, "spec")
	if err != nil || spans[0] == (jsonspan.Span{}) {
		return 0, 0, wrapUnreadable(err)
	}
	spec := spans[0].Of(raw)
	lists, err := jsonspan.Members(spec, "initContainers", "containers", "ephemeralContainers", "volumes")
	if err != nil {
		return 0, 0, wrapUnreadable(err)
	}
	counts := make([]int, len(lists))
	for i, list := range lists {
		if counts[i], err = jsonspan.Len(list.Of(spec)); err != nil {
			return 0, 0, wrapUnreadable(err)
		}
	}
	return counts[0] + counts[1] + counts[2], counts[3], nil
}

func wrapUnreadable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errUnreadable, err)
}

// readPod decodes a pod, unless it has more containers or volumes than an injected pod
// may have: those are counted first, and the reason is returned in place of the pod.
func readPod(raw []byte) (*corev1.Pod, inject.Skip, error) {
	containers, volumes, err := countParts(raw)
	if err != nil {
		return nil, "", err
	}
	if why := inject.SkipCrowded(containers, volumes); why != "" {
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
