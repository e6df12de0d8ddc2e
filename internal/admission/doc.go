// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission answers the API server's admission requests: it injects
// pods and checks DataSets. Its handlers are thin: what a pod is to look like is
// package inject's decision, what is wrong with a DataSet that of the pure
// functions here. It writes nothing. kuda-webhook serves it.
//
// A pod is never admitted half-changed: an injection that fails either refuses the
// pod (namespaces labelled kuda.io/injection=required) or leaves it as it came, with a warning.
package admission
