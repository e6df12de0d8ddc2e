// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process runs programs that go on until they are stopped: servers, and
// Kuda's runtime. They die with this process, whatever becomes of it.
package process
