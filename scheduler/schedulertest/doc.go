// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedulertest runs the binary kuda-scheduler against a real API server
// whose nodes exist as objects only. It is for the integration tests and the
// benchmark.
//
// KUBEBUILDER_ASSETS must name a directory with etcd and kube-apiserver. There are
// no kubelets and no controllers: what they would set, the caller sets.
package schedulertest
