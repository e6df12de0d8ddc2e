// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load reads the arguments of the plugin DataLocality from what a
// scheduler's configuration holds, in whatever version that is. The plugin uses
// it when it is made.
package load
