// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package shorten cuts text to what an API field takes.
package shorten
