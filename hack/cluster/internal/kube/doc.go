// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kube asks the API server the few questions the cluster's own
// commands have: is it ready, are the nodes, is a Deployment. It is not a
// client library; whatever else is wanted goes through kubectl.
package kube
