// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upgrade changes the version of Kuda under running pods, in a real
// cluster, and finds out what they notice. Release is a version with its manifest,
// Install and Downgrade put one in force as an operator would, Load is the pods
// that read their data all the while, and Meter counts what they fetch.
//
// hack/upgrade.sh builds the earlier release, from its commit and once, loads the
// images and runs the tests. They change the cluster's installation, so they run
// before the other end-to-end tests and not beside them.
package upgrade
