// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package localapi is what a runtime answers over HTTP: probes, metrics and,
// for the application, what is delivered. It tells facts of its own pod, never
// credentials or other pods' data, and changes nothing, so it needs no
// authentication although the kubelet's probes come by the pod's address.
package localapi
