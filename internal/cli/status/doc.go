// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status is kubectl kuda status: all DataSets in a table, one in detail, and one
// live until its rollout ends. What it shows is computed by package insight/status;
// rendering is a function of the View and the screen, and what draws lies around it.
package status
