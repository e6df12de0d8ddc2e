// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"net/http"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission/intake"
	"github.com/kuda-io/kuda/internal/admission/look"
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

// Register puts the webhooks on the server, behind a gate that they share. The
// pods handler serves both kinds of namespaces; its Required is set per path.
func Register(server Server, gate *intake.Gate, pods Pods, dataSets *DataSets) {
	required := pods
	pods.Required, required.Required = false, true
	// Two groups, since the required one asks past the API server's cache.
	pods.looks, required.looks = new(look.Group[[]*v1alpha1.DataSet]), new(look.Group[[]*v1alpha1.DataSet])
	server.Register(PathPods, gate.Handler(intake.PodBounds, disclaimer{&pods}))
	server.Register(PathPodsRequired, gate.Handler(intake.PodBounds, disclaimer{&required}))
	server.Register(PathDataSets, gate.Handler(intake.DataSetBounds, dataSets))
}
