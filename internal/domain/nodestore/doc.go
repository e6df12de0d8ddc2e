// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodestore computes what a NodeStore's status says of all namespaces
// together: totals, and where the directories of entries that were removed are. The
// gateway, which merges reports, and the NodeStore controller, which removes stores
// that are gone, use it.
package nodestore
