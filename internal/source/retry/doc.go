// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package retry decorates a source twice. New makes calls that failed for a
// while again, with growing, random pauses; a body that is cut off goes on where
// it was, of the same object. Watch ends calls that make no progress, so that no
// limit on the whole time is needed. They are two because what lies between
// them, such as package limit, may make a call wait: that is no stall. Package
// transfer reads through them.
package retry
