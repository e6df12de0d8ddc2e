// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"encoding/json"
	"reflect"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

func TestAReviewIsDecodedAsByEncodingJSON(t *testing.T) {
	whole := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{Kind: "AdmissionReview", APIVersion: "admission.k8s.io/v1"},
		Request: &admissionv1.AdmissionRequest{
			UID: "u", Name: "web", Namespace: "shop", Operation: admissionv1.Update, DryRun: ptr.To(true),
			Object:    runtime.RawExtension{Raw: []byte(`{"metadata":{"name":"web","labels":{"object":"}"}}}`)},
			OldObject: runtime.RawExtension{Raw: []byte(`{"a":[1]}`)},
			Options:   runtime.RawExtension{Raw: []byte(`{"kind":"UpdateOptions"}`)},
		},
	}
	created, deleted := *whole.DeepCopy(), *whole.DeepCopy()
	created.Request.OldObject.Raw = nil
	deleted.Request.Object.Raw = nil
	for name, review := range map[string]admissionv1.AdmissionReview{"update": whole, "create": created, "delete": deleted,
		"no request": {TypeMeta: whole.TypeMeta}} {
		body, err := json.Marshal(review)
		if err != nil {
			t.Fatal(err)
		}
		var want admissionv1.AdmissionReview
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		got, err := decodeReview(body)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
	}
}

func TestAReviewOfAnotherFormIsRefused(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `{"request":1}`, `{"request":{"object":{}`, `{"request":{"object":{},"object":{}}}`, `{"request":{},"Request":{}}`,
		`{"request":{"\u006fbject":{}}}`, `{"request":{"uid":{}}}`, `{"request":{"object":"text"}}`, `{"request":{"oldObject":[1]}}`,
		`{"request":{}} {}`,
	} {
		if review, err := decodeReview([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, review)
		}
	}
}
