// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podstate says what the manager sees of a pod: whether a DataSet selects
// it, whether it carries the runtime, whether it still runs, and how well.
//
// The manager watches every pod of the cluster, so Strip keeps of each only
// what these questions need. Code that reads pods from the cache must not
// expect anything else in them; what needs a whole pod reads it live. The
// DataSet and Data controllers and the gateway use it.
package podstate
