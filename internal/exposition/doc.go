// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package exposition serves metrics to any client at a fixed cost: however many
// ask and however often, the metrics are gathered at most once a second, and all
// get the same bytes. The runtime and the webhook serve theirs with it.
package exposition
