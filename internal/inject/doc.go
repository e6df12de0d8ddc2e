// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inject decides what a pod looks like once Kuda's runtime is in it. It
// is pure: a pod, the DataSets that select it, the settings of the installation,
// the labels of the namespace and the nodes that hold the data go in, another
// pod comes out, or the reason why the pod is left alone, or an error. The pod that came in is never changed.
//
// Injecting twice is injecting once, and containers that others add later get
// their share when Inject runs again. It knows no API server and no HTTP;
// package admission is the adapter. docs/design/001-injected-pod.md explains
// every part of the result.
package inject
