// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package worker brings one DataSet of a pod to its assignment:
//
//	plan → fetch → verify → snapshot → switch → hooks
//
// A worker runs passes. A pass compares its assignment with what is on disk (package
// plan), does what is missing, and ends delivered, waiting for a change, or waiting for
// a while. A newer assignment cancels the pass that runs; what was downloaded is kept.
// All items of a DataSet switch together or not at all.
//
// A revision that is to be asked for later is fetched beside that, by the worker's
// prefetcher, only while no worker of the pod has anything else to do, and changes
// nothing that the application sees. Both get items into the store by one fetcher.
//
// Workers know each other by their Env only. The agent starts and ends them.
package worker
