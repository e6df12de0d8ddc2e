// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package why explains where a pod was placed, or why it was not, by the data that nodes
// hold.
//
// It computes what the scheduler's plugin computes, by the same package index, from what
// is known now. It does not know what was known when the pod was placed, nor what other
// plugins of the scheduler thought, and says so. It reads with the caller's rights and
// changes nothing.
package why
