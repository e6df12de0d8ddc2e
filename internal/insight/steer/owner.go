// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"encoding/json"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// keepers are tools that set a template back to what they were given, by the
// names under which they write.
var keepers = map[string]string{
	"argocd-controller":             "Argo CD",
	"argocd-application-controller": "Argo CD",
	"kustomize-controller":          "Flux",
	"helm-controller":               "Flux",
	"flux":                          "Flux",
	"fleet-agent":                   "Fleet",
	"configsync.gke.io":             "Config Sync",
	"configmanagement.gke.io":       "Config Sync",
	"helm":                          "Helm",
}

// ManagingTool names the tool that keeps the template, if there is one.
func ManagingTool(d *v1alpha1.DataSet) string {
	for _, entry := range d.ManagedFields {
		tool := keepers[entry.Manager]
		if tool == "" || entry.FieldsV1 == nil || entry.Subresource != "" {
			continue
		}
		var fields struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) == nil && fields.Spec["f:template"] != nil {
			return tool
		}
	}
	return ""
}
