// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package analysis takes the measurements of a rollout's analysis steps: it asks a
// Prometheus server or calls a web service, and judges the answer by the step's CEL
// expressions. The manager runs it for the DataSet controller; the webhook uses its
// Check before a DataSet is accepted.
//
// The author of a DataSet chooses an address that the manager then calls. So the
// manager sends no credentials, uses no proxy, follows no redirect to another host,
// reads no more than 1 MiB for no longer than ten seconds, never connects to itself,
// to its node's or its cloud's metadata services, and tells nothing of an answer but
// numbers, the status code, and whether the conditions hold. What else may be called
// is the installation's to restrict, by the hosts that it allows and by a network
// policy.
//
// It never decides what follows from a measurement; that is the planner's, package
// rollout.
package analysis
