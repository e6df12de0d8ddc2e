// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package localapi serves the HTTP API of a runtime. It tells facts of its
// own pod, never credentials or other pods' data, and changes nothing, so it needs
// no authentication.
//
// Containers of the pod reach all of it on localhost, because they share the
// runtime's network. On the pod's own address, which any client in the cluster
// may be able to connect to, there are only the probes and the metrics. Both
// sides have limits of their own: what strangers do takes nothing from the pod,
// and the memory for all of it is bounded.
package localapi
