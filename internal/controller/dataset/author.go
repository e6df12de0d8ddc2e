// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// templateAuthor returns the field manager that last wrote something of the template,
// which is as near as the API comes to who changed it; empty: unknown.
func templateAuthor(fields []metav1.ManagedFieldsEntry) string {
	name := ""
	var last time.Time
	for i := range fields {
		entry := &fields[i]
		if entry.Subresource != "" || entry.Time == nil || entry.Time.Time.Before(last) || !ownsTemplate(entry.FieldsV1) {
			continue
		}
		name, last = entry.Manager, entry.Time.Time
	}
	return name
}

func ownsTemplate(fields *metav1.FieldsV1) bool {
	if fields == nil {
		return false
	}
	var owned struct {
		Spec struct {
			Template json.RawMessage `json:"f:template"`
		} `json:"f:spec"`
	}
	return json.Unmarshal(fields.GetRawBytes(), &owned) == nil && owned.Spec.Template != nil
}
