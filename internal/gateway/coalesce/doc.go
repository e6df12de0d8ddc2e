// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package coalesce writes what is submitted for a key as seldom as it can be: one
// write at a time per key, with all that came for it since the last one. What a key
// holds, when it is due, and how it is written is for the caller to say; reports of
// pods and of nodes do.
package coalesce
