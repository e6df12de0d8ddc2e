// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki is Kuda's own certificate authority: the gateway and the webhook
// serve TLS with certificates that each replica issues to itself, in memory,
// from a CA that the kubelet mounts.
//
// The CA lives in one Secret as one or more generations. A new generation is
// first only published, as part of the bundle that clients trust, and signs
// after an overlap, so no client ever meets a certificate whose authority it
// has not heard of. Which generation signs, what the bundle is and when the
// next generation is due are pure functions of the generations and the time.
//
// The package never reads a Secret through the API; its subpackages write the
// Secret (createca, rotation) and publish the bundle (cabundle). It is used by
// kuda-manager and kuda-webhook. docs/design/002-trust-without-secrets.md
// gives the reasons.
package pki
