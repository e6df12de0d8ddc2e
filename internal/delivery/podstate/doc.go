// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podref tells which snapshots of a store the pods of the node need,
// from what their runtimes remember beside the views, and which are preheated for
// pods to come:
//
//	pods/<uid>/lock              locked while the pod's runtime runs
//	pods/<uid>/orphaned          since when it has not been locked, in this boot
//	pods/<uid>/datasets/*.json   the revisions that the pod can be at, with their snapshots
//	preheat/<dataset>.json       the revisions that are preheated, likewise
//
// A runtime that is being restarted holds no leases for that time, and its pod
// may live on. Package store asks this one before it evicts anything. The files
// are written by package agent; nothing is written here.
package podref
