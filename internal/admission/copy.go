// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const copyWarning = "This pod is a copy of one that Kuda injected (as kubectl debug --copy-to makes it), and no DataSet selects the copy: " +
	"Kuda takes its runtime out, and delivers no data to this pod. Keep the labels of the pod to have its data in the copy (--keep-labels)."

// leave returns the response for a pod that no DataSet selects. Kuda does not
// change such a pod, except a copy of an injected pod, which would wait for its
// data for ever.
func (p *Pods) leave(req admission.Request) admission.Response {
	// Most pods are not decoded for this.
	if !bytes.Contains(req.Object.Raw, []byte(`"`+sidecar.VolumeToken+`"`)) {
		return admission.Allowed("")
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(req.Object.Raw, pod); err != nil {
		return p.failedResponse(req, fmt.Errorf("%w: %w", errUnreadable, err))
	}
	bare := inject.Disown(pod)
	if bare == nil {
		return admission.Allowed("")
	}
	return p.patchedResponse(req, inject.Patch(pod, bare)).WithWarnings(copyWarning)
}
