// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent keeps one pod's data equal to what the pod is to have:
//
//	desired → plan → fetch → verify → snapshot → switch → hooks → report
//
// It hands what the gateway says to one worker per DataSet (package worker), and
// tells the application and the gateway what came of it (package status). It also
// tidies the view, the store and what deleted pods left there.
//
// Everything that must be remembered lies beside the view, in the forms of package
// podstate, so a restarted runtime serves, checks and finishes what it knows before
// it has reached the gateway.
//
// The agent knows the gateway's messages and nothing else of Kubernetes. It is
// used by kuda-runtime and seen from outside through package localapi.
package agent
