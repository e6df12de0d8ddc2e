// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package meter counts what a client receives from a server: it stands between
// them. It costs time, so clients are counted in runs of their own, which
// are not timed.
package meter
