// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grafana is Kuda's dashboards for Grafana: what each panel asks Prometheus, and
// the JSON that Grafana takes. Its tests hold the queries, and those of the alerts, to
// the metrics that Kuda has.
package grafana
