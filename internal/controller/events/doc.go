// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package events records events of controllers within the bounds of the events API.
package events
