// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package live keeps the picture of DataSets that pages look at: one follower per
// credentials, namespace and DataSet, however many pages show it. It ends with the last of
// them.
//
// A Picture is computed at most once a second and only when something changed. Each page
// gets a window of its pods; filtering, sorting, grouping and the timeline are pure.
package live
