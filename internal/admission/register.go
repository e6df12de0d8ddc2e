// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Paths of the webhooks; the configurations in deploy/base/webhook name them.
const (
	PathPods         = "/pods"
	PathPodsRequired = "/pods-required"
	PathDataSets     = "/datasets"
)

// Server takes handlers; a webhook.Server does.
type Server interface {
	Register(path string, handler http.Handler)
}

// Register puts the webhooks on the server. The pods handler serves both kinds
// of namespaces; its Required is set per path.
func Register(server Server, pods Pods, dataSets *DataSets) {
	required := pods
	pods.Required, required.Required = false, true
	server.Register(PathPods, &admission.Webhook{Handler: disclaimer{&pods}})
	server.Register(PathPodsRequired, &admission.Webhook{Handler: disclaimer{&required}})
	server.Register(PathDataSets, &admission.Webhook{Handler: dataSets})
}
