// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cabundle keeps the caBundle of Kuda's webhook configurations equal to
// the bundle of the certificate authority: after a rotation, and after it was
// reset. It changes nothing else in them. Every replica of kuda-webhook does
// this; one whose mounted CA is behind that of the others leaves the newer
// bundle alone, so they do not undo each other's work.
package cabundle
