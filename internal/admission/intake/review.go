// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuda-io/kuda/internal/admission/jsonspan"
)

var errNoObject = errors.New("the object of the review is no JSON object")

// decodeReview decodes a review without its objects, whose text it refers to: an
// object is nearly all of a review, and most are not looked into any further. The
// text of the objects is not checked; who decodes them does.
func decodeReview(body []byte) (*admissionv1.AdmissionReview, error) {
	top, err := jsonspan.Members(body, "request")
	if err != nil {
		return nil, err
	}
	request := top[0].Of(body)
	var objects []jsonspan.Span
	if len(request) > 0 {
		if objects, err = jsonspan.Members(request, "object", "oldObject"); err != nil {
			return nil, err
		}
	}
	review := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(cutSpans(body, top[0].Start, objects), review); err != nil {
		return nil, err
	}
	if review.Request != nil {
		for i, raw := range []*runtime.RawExtension{&review.Request.Object, &review.Request.OldObject} {
			text := objects[i].Of(request)
			switch {
			case len(text) == 0, string(text) == "null":
			case text[0] != '{':
				return nil, errNoObject
			default:
				raw.Raw = text
			}
		}
	}
	return review, nil
}

// cutSpans returns the text with null in place of the spans, which begin at the offset.
func cutSpans(text []byte, offset int, spans []jsonspan.Span) []byte {
	spans = slices.DeleteFunc(slices.Clone(spans), func(s jsonspan.Span) bool { return s == jsonspan.Span{} })
	slices.SortFunc(spans, func(a, b jsonspan.Span) int { return cmp.Compare(a.Start, b.Start) })
	var cut []byte
	at := 0
	for _, s := range spans {
		cut = append(append(cut, text[at:offset+s.Start]...), "null"...)
		at = offset + s.End
	}
	return append(cut, text[at:]...)
}
