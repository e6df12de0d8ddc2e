// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package why is kubectl kuda why: it explains where a pod was placed, or why it was not,
// by the data that nodes hold. The explanation is computed by package insight/why; this
// one reads the flags and renders the View.
package why
