// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package managertest runs kuda-manager in a test's own process, against a real
// API server, and plays the pods and their runtimes. It is for tests only.
//
// KUBEBUILDER_ASSETS must name a directory with etcd, kube-apiserver and
// kubectl. There are no kubelets, no scheduler and no garbage collector: a
// test sets what they would.
package managertest
