// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration tests what only a real API server can show of the API
// itself: that the schemas are accepted, that defaults are set, and that wrong
// input is refused with a message that names the field and says what to write.
//
// It needs KUBEBUILDER_ASSETS to name a folder with etcd and kube-apiserver;
// "make integration" sets it.
package integration
