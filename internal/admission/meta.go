// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
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
