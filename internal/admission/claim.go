// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"context"
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
)

const claimWarning = "Kuda has not injected this pod, so it takes out the annotation " + v1alpha1.AnnotationInjected +
	", by which the pod says that it has been."

// disclaimer takes the annotations of an injected pod out of pods that are admitted
// and were not injected: the gateway believes them of a pod that also has a container of
// the runtime's name.
type disclaimer struct{ next admission.Handler }

// Handle implements admission.Handler.
func (d disclaimer) Handle(ctx context.Context, req admission.Request) admission.Response {
	response := d.next.Handle(ctx, req)
	if !response.Allowed || len(response.Patch) > 0 || len(response.Patches) > 0 ||
		req.Operation != admissionv1.Create || req.SubResource != "" || !bytes.Contains(req.Object.Raw, []byte(`"kuda.io`)) {
		return response
	}
	patch := disclaimPatch(req.Object.Raw)
	if patch == nil {
		return response
	}
	response.Patch, response.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	return response.WithWarnings(claimWarning)
}

// disclaimPatch returns the patch that takes the annotations out of a pod; nil if it has none.
func disclaimPatch(raw []byte) []byte {
	pod := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil // the API server refuses it too
	}
	ops := inject.Disclaim(pod.Annotations)
	if len(ops) == 0 {
		return nil
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		return nil // strings always marshal
	}
	return patch
}
