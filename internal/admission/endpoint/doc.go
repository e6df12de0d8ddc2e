// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package endpoint is where the API server reaches the webhooks: TLS, time-outs,
// and limits that hold against every client that can connect. It can ask callers
// for a client certificate. Package server uses it in place of
// controller-runtime's server, which does not have these limits.
package endpoint
