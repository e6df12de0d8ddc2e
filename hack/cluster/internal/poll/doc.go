// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package poll waits for what gives no notice: a server that is to answer, a
// node that is to be ready. It keeps the reason of the last failure, because
// "timed out" alone names no cause.
package poll
