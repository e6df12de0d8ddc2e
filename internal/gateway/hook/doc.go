// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hook runs the exec hooks that a Data declares, in the containers of
// its pod.
//
// What is run is read from the Data, never from the runtime that asks for it,
// and never in the runtime's own container, where tokens and credentials are.
// HTTP hooks are not run here: the runtime calls them itself, over localhost.
package hook
