// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plural counts things in words.
package plural
