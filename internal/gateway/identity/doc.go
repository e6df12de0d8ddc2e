// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity finds out which pod a caller of the gateway is, and whether it
// may call at all.
//
// A runtime proves itself with the service-account token that the kubelet
// mounted into its container. The API server says what the token is worth. The
// package looks at the token before it asks, remembers answers, and keeps the
// questions about known pods apart from those about strangers. It refuses
// everything that is not bound to one pod, made for Kuda, and of a pod that has
// the runtime. What such a pod may see is decided by the handlers.
package identity
