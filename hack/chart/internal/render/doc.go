// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package render renders Kuda's chart as Helm does, without a cluster: for the manifests
// in deploy/, and for the tests of the chart.
package render
