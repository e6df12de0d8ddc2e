// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kstatus tests what GitOps tools and pipelines make of a DataSet's status: each
// state of docs/design/013-status.md is made by a manager and played runtimes on a real
// API server, and read by kstatus, the library of Flux and Helm, by kubectl get, kubectl
// wait and kubectl kuda status -w. It is a module of its own, so that Kuda does not
// depend on kstatus.
package kstatus
