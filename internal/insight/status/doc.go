// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status says how far DataSets are: each DataSet with its rollout, what it
// waits for, what needs attention, and the state of each of its pods.
//
// A View is computed from a DataSet and its Data alone and holds all that is shown, on
// the command line and on the dashboard; its JSON is what both print. A Follower keeps
// both as they are in the cluster. Pods are not read: their Data say where they are,
// and fewer rights do. It changes nothing.
package status
