// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package containerexec runs a command in a container through the API server's
// exec subresource: over a websocket, or over SPDY where something on the way
// does not pass one.
//
// It knows nothing of what is run, nor of what a failure means to the caller.
package containerexec
