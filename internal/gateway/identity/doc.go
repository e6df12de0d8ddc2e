// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity finds out which pod a caller of the gateway is.
//
// A runtime proves itself with the service-account token that the kubelet
// mounted into its container. The API server says what the token is worth; this
// package asks it, remembers good answers for a short while, and refuses
// everything that is not bound to one pod and made for Kuda. It grants nothing:
// what a pod may see is decided by the handlers.
package identity
