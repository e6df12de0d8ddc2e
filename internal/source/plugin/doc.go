// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin reads from storage systems through plugins: containers beside
// the runtime that serve proto/kuda/source on a Unix socket. A plugin is not
// trusted: what it sends is bounded and checked, and what it lists goes through
// the same checks of names as any listing. A plugin may be killed and started
// again at any time; calls that this breaks fail with temporary errors.
//
// The other end, for authors of plugins, is the public package plugin.
package plugin
