// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hub wakes the open streams of pods whose desired state may have changed.
//
// It carries no state, only wake-ups, and never more than one per stream: a
// stream that was woken reads what is true then. So the latest always wins,
// nothing piles up behind a slow runtime, and no runtime waits for another.
package hub
