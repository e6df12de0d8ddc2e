// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire holds what the two ends of the plugin protocol share: how
// entries and errors cross the socket, the limits that both keep, and a codec
// that moves file content with few copies. The runtime's end is package
// internal/source/plugin, the other one the public package plugin.
package wire
