// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent keeps one pod's data equal to what the pod is to have:
//
//	desired → plan → fetch → verify → snapshot → switch → hooks → report
//
// One worker per DataSet runs passes. A pass compares the newest desired state
// with what is on disk (a pure plan), does what is missing, and ends delivered,
// waiting for a change, or waiting for a while. A newer desired state cancels
// the pass that runs; what was downloaded is kept. All items of a DataSet switch
// together or not at all.
//
// Everything the agent must remember lies beside the view, in the forms of package
// podstate, so a restarted runtime serves, checks and finishes what it knows before
// it has reached the gateway.
//
// A revision that is to be asked for later is fetched beside that, by a
// prefetcher per DataSet, only while there is nothing else to do, and changes
// nothing that the application sees.
//
// The agent knows the gateway's messages and nothing else of Kubernetes. It is
// used by kuda-runtime and seen from outside through package localapi.
package agent
