// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placement says what data a new pod is going to have: of the DataSets
// that select it, the items of the revision that new pods get now. Package
// placement/index then knows where those bytes are.
//
// It decides nothing about pods that run. The webhook, the scheduler's plugin,
// the preheat controller and the command line use it, so that all of them speak of
// the same data.
package placement
