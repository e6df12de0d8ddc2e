// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration runs the binary kuda-scheduler, with the configuration and
// the rights of its manifests, against a real API server. Its tests have the build
// tag integration; KUDA_TEST_SCHEDULER names the binary.
package integration
