// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"net/http"

	"github.com/kuda-io/kuda/internal/admission/intake"
)

// Paths of the webhooks; the configurations in deploy/base/webhook name them.
const (
	PathPods         = "/pods"
	PathPodsRequired = "/pods-required"
	PathPodsLabelled = "/pods-labelled"
	PathDataSets     = "/datasets"
	PathDataSetUsers = "/dataset-users"
)

// Server takes handlers; a webhook.Server does.
type Server interface {
	Register(path string, handler http.Handler)
}

// Register puts the webhooks on the server, behind a gate that they share. The
// pods handler serves all kinds of namespaces and pods; its Required is set per path.
func Register(server Server, gate *intake.Gate, pods Pods, dataSets *DataSets) {
	pods.looks = newLooks()
	if pods.News != nil {
		pods.News.Listen(pods.looks.changed.note)
	}
	required := pods
	pods.Required, required.Required = false, true
	server.Register(PathPods, gate.Handler(intake.PodBounds, disclaimer{&pods}))
	// Pods that ask for it by a label are told by that label. The path keeps a webhook of
	// an earlier version, which does not know the label, from letting them pass.
	server.Register(PathPodsLabelled, gate.Handler(intake.PodBounds, disclaimer{&pods}))
	server.Register(PathPodsRequired, gate.Handler(intake.PodBounds, disclaimer{&required}))
	server.Register(PathDataSets, gate.Handler(intake.DataSetBounds, dataSets))
	server.Register(PathDataSetUsers, gate.Handler(intake.DataSetBounds, &Users{Log: dataSets.Log, Changed: pods.noteChange}))
}
