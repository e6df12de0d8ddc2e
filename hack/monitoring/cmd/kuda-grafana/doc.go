// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-grafana writes Kuda's dashboards for Grafana, as JSON, into the directory
// that the chart takes them from. hack/generate.sh runs it.
package main
