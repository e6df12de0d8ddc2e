// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package data is the controller that looks after each Data object: it removes
// those that are no longer needed, shows when a pod's runtime does not come to
// the gateway, and turns changes of items into events on the pod.
//
// It runs on the leader only. What it writes into a status is that no runtime has
// reported, or that what was reported may be out of date, and, when the runtime is heard
// again, what it reported last.
package data
