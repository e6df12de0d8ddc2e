// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sidecar holds the names that the injector and the runtime must agree
// on: containers, volumes, mount paths, environment variables and endpoints of
// an injected pod. It holds nothing else and imports nothing of Kuda, so both
// sides of the agreement can use it; docs/design/001-injected-pod.md explains the choice
// of each.
package sidecar
