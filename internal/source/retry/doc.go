// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package retry decorates a source: calls that failed for a while are made
// again with growing, random pauses; a body that is cut off goes on where it
// was, of the same object; and a watchdog ends calls that make no progress, so
// that no limit on the whole time is needed. Package transfer reads through it.
package retry
