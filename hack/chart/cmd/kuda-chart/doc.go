// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kuda-chart writes the manifests of deploy/ from the chart, charts/kuda, which is
// their one source. hack/generate.sh runs it.
package main
