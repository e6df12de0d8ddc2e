// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status shows how far DataSets are: all of them in a table, one in
// detail, and one live until its rollout ends.
//
// A View is computed from a DataSet and its Data alone and holds all that is
// shown; rendering is a function of the View and the screen. What follows the
// cluster and draws lies around these. Pods are not read: their Data say where
// they are, and fewer rights do.
package status
