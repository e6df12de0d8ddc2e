// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const copyWarning = "This pod is a copy of one that Kuda injected (as kubectl debug --copy-to makes it), and no DataSet " +
	"selects the copy: " +
	"Kuda takes its runtime out, and delivers no data to this pod. Keep the labels of the pod to have its data in the copy (--keep-labels)."

// leaveUnselected returns the response for a pod that no DataSet selects. Kuda does not
// change such a pod, except a copy of an injected pod, which would wait for its
// data for ever.
func (p *Pods) leaveUnselected(req admission.Request, by demand) admission.Response {
	// Most pods are not decoded for this.
	if !isCopyText(req.Object.Raw) {
		return admission.Allowed("")
	}
	pod, crowded, err := readPod(req.Object.Raw)
	switch {
	case err != nil:
		return p.failedResponse(req, by, err)
	case crowded != "":
		return admission.Allowed("") // Kuda injects no such pod, so it is no copy of one
	}
	bare := inject.Disown(pod)
	if bare == nil {
		return admission.Allowed("")
	}
	return p.patchedResponse(req, by, inject.Patch(pod, bare)).WithWarnings(copyWarning)
}

// isCopyText reports whether a pod may be a copy of an injected pod, by its text.
func isCopyText(raw []byte) bool {
	return bytes.Contains(raw, []byte(`"`+sidecar.VolumeToken+`"`))
}
