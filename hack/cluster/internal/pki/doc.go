// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the cluster's certificate authority, certificates and
// kubeconfigs. They are made anew with each cluster and are worth nothing
// outside it.
package pki
